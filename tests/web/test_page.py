"""The status page: complete without a script, safe for any text, with the other replicas."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import free_port, wait_until
from tests.web.conftest import FOLLOWER, OUT_OF_SIGHT, Upstream, Web, following, leading, say
from tests.web.test_metrics import FRESH_GATE
from tests.web.test_protection import ALICE, USERS, Protected, running
from tests.web.test_status import FULL
from wrapper.base import clock
from wrapper.base.snapshot_channel import STALE_AFTER_S
from wrapper.configuration.config_view import LARGEST_TEXT, ConfigView, ConfigViewWriter
from wrapper.model.snapshot import NOBODY, NOT_KNOWN, HandOver, Snapshot
from wrapper.web.peers import LARGEST, LIMIT_S
from wrapper.web.status import status_of

_view_writers: dict[int, ConfigViewWriter] = {}  # by the file descriptor of the web process

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def others() -> Iterator[tuple[Upstream, Upstream]]:
    """Run the APIs of two replicas, whose answers the tests set."""
    with closing(Upstream()) as one, closing(Upstream()) as another:
        yield one, another


@pytest.fixture(scope="module")
def shared_fleet(others: tuple[Upstream, Upstream]) -> Iterator[Web]:
    """Run a web process with two peers, and a third peer that does not run."""
    peers = (others[0].url, others[1].url, f"http://127.0.0.1:{free_port()}")
    with running(Web(peers=peers)) as web:
        yield web


@pytest.fixture
def fleet(shared_fleet: Web, others: tuple[Upstream, Upstream]) -> Web:
    """Return that web process; both peers report that they follow."""
    for number, other in enumerate(others, 1):
        other.heads.clear()
        other.answer = say(json_of(identity=f"prometheus-{number}"))
    shared_fleet.tell(leading(**FULL))
    return shared_fleet


def json_of(**changes: Any) -> bytes:
    """Return the status of a follower with these changes, as JSON."""
    told = {**status_of(following(), clock.now()), **changes}
    return json.dumps(told).encode()


def nested(depth: int) -> bytes:
    """Return lists in lists as JSON."""
    return b"[" * depth + b"]" * depth


def page(web: Web) -> str:
    """Return the page."""
    answer = web.get("/_elector/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.text


def replicas(web: Web, others: tuple[Upstream, Upstream]) -> list[dict[str, Any]]:
    """Return the status of the other replicas, after they have been asked again.

    Earlier answers are cached for a while.
    """
    for other in others:
        other.heads.clear()

    def told() -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = web.get("/_elector/fleet").json()["replicas"]
        return answers if others[1].heads else []

    return wait_until(told, 20, "they are asked")[1:]


# --- the content ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '<span class="role leader">leader</span>',
        '<span id="leads">',
        "prometheus-1 held the lease when it was first read",
        "ready, healthy",
        "95 MiB",
        '<th scope="row">/t.json</th>',
        'Promgen\'s queue <code>q</code>: <span class="good">connected</span>',
        "2023-11-14 22:14:20",
        "<rect",
        "<dt>Transitions</dt><dd>4</dd>",
        '<strong id="gate-state">sending held samples</strong>',
        '<th scope="row">store</th><td>http://store:9090/api/v1/write</td>',
        "<td>2023-11-14 22:13:20.125 UTC</td><td>4.5 s</td><td>3 MiB in 30 batches</td>",
        '<span class="bad">HTTP 503</span>',
        "0.2 s behind this machine's",
        "It may hold 64 MiB",
        "Restarts: 2",
    ],
)
def test_the_page_is_complete_without_a_script(web: Web, text: str) -> None:
    """The HTML has all information without the script."""
    web.tell(leading(**FULL))
    assert text in page(web)


@pytest.mark.parametrize(
    ("snapshot", "holder", "expiry"),
    [
        (leading(), "prometheus-0", "Steps down in</dt><dd>N s unless renewed"),
        (following(), "prometheus-1", "Expires in</dt><dd>N s unless renewed"),
        (OUT_OF_SIGHT, "prometheus-1", "Expired</dt><dd>yes, by this replica's clock"),
        (FOLLOWER, "nobody", "Expires in</dt><dd>\N{EN DASH}"),
        (replace(FOLLOWER, lease_transitions=None), "unknown", "Expires in</dt><dd>\N{EN DASH}"),
    ],
    ids=["leader", "follower", "out of reach", "free", "not read"],
)
def test_the_lease_is_shown(web: Web, snapshot: Snapshot, holder: str, expiry: str) -> None:
    """The page shows holder and expiry of the lease, or that they are unknown."""
    web.tell(snapshot)
    text = re.sub(r"\b[1-9][0-9]* s unless", "N s unless", page(web))
    assert f'<dd id="holder">{holder}</dd>' in text
    assert f"<dt>{expiry}</dd>" in text


def test_may_write_is_unknown_without_a_rendering(web: Web) -> None:
    """If Prometheus reads its own file, "may write" is unknown."""
    web.tell(leading(election="none", written_role=""))
    text = page(web)
    assert "<dt>May write</dt><dd>unknown</dd>" in text
    assert "Prometheus reads its own file, unchanged." in text
    assert web.get("/_elector/status").json()["may_write"] is None


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "holding"),
        ({"is_open": True}, "open"),
        ({"is_open": True, "is_handing_over": True}, "handing over"),
        ({"pid": None, "problem": "it was killed"}, "not running"),
    ],
)
def test_the_state_of_the_gate_is_shown(web: Web, changes: dict[str, Any], state: str) -> None:
    """The page shows and explains the state of the gate; unknown values are shown as unknown."""
    web.tell(following(gate={**FRESH_GATE, **changes}))
    text = page(web)
    assert re.search(rf'<strong id="gate-state"[^>]*>{state}</strong>: [A-Za-z]', text)
    assert "<td>unknown</td><td>unknown</td><td>nothing</td>" in text
    assert ('<p class="bad">it was killed</p>' in text) is (state == "not running")


def test_without_a_gate_the_page_has_no_section_for_it(web: Web) -> None:
    """Without a gate, the page has no section for it."""
    web.tell(following())
    assert "h-gate" not in page(web)


def test_a_follower_shows_the_leader(web: Web) -> None:
    """The page of a follower names the leader, or shows that there is none."""
    web.tell(following())
    assert '<strong id="leader">prometheus-1</strong>' in page(web)
    web.tell(FOLLOWER)
    assert '<span id="no-leader"' in page(web)


def test_an_overdue_holder_is_shown(web: Web) -> None:
    """An overdue holder is shown in the status and on the page, with a fix."""
    web.tell(following())
    assert 'id="overdue"' not in page(web)
    web.tell(following(holder_is_overdue=True, reason="run kubectl -n x patch"))
    text = page(web)
    assert '<p id="reason" class="alarm">run kubectl -n x patch' in text
    assert 'id="overdue"' in text
    assert web.get("/_elector/status").json()["lease"]["holder_is_overdue"] is True


def test_an_unknown_leader_is_shown_as_unknown(web: Web) -> None:
    """If the lease cannot be read, the leader is shown as unknown, and not as missing."""
    entry = HandOver(1.7e9, None, "prometheus-1", "it is not known")
    web.tell(replace(OUT_OF_SIGHT, history=(entry,)))
    text = page(web)
    assert 'id="unknown-leader"' in text
    assert f"<td>{NOT_KNOWN}</td>" in text
    assert f'<th scope="row">{NOT_KNOWN}</th>' in text
    assert '<rect class="unknown"' in text
    assert 'id="no-leader"' not in text
    assert f"{NOBODY}</" not in text


def test_problems_of_the_configuration_are_shown(web: Web) -> None:
    """Each problem of an invalid configuration has its own line on the page."""
    problem = "elector.yml:3:7: mapping values are not allowed\nelector.yml:9:1: unknown key"
    web.tell(leading(configuration_is_valid=False, configuration_problem=problem))
    text = page(web)
    assert 'id="invalid"' in text
    assert 'invalid</span>: see <a href="#problems">the problems</a>' in text
    assert 'id="problems"' in text
    for line in problem.splitlines():
        assert f"<li><code>{line}</code></li>" in text


def test_a_failed_write_is_not_shown_as_invalid(web: Web) -> None:
    """If the output cannot be written, the page shows that, and not an invalid input."""
    web.tell(leading(configuration_problem="the rendering cannot be written: no space left"))
    text = page(web)
    assert 'id="undelivered"' in text
    assert "<li><code>the rendering cannot be written: no space left</code></li>" in text
    assert 'id="invalid"' not in text


def test_text_of_the_snapshot_is_escaped(web: Web) -> None:
    """All text of a snapshot is escaped on the page."""
    entry = HandOver(1.7e9, EVIL, EVIL, EVIL)
    receiver = {**FRESH_GATE["endpoints"][0], "name": EVIL, "url": EVIL, "problem": EVIL}
    gate = {**FRESH_GATE, "problem": EVIL, "endpoints": [receiver]}
    web.tell(
        following(
            holder=EVIL,
            reason=EVIL,
            identity=EVIL,
            lease_problem=EVIL,
            history=(entry,),
            gate=gate,
        )
    )
    publish_view(web, ConfigView(EVIL, EVIL, (f"+{EVIL}",)))
    text = page(web)
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def publish_view(web: Web, view: ConfigView) -> None:
    """Publish the view of both configurations to the web process."""
    fd = web.options.snapshot_fd
    _view_writers.setdefault(fd, ConfigViewWriter(fd)).publish(view)


def test_the_policy_allows_only_the_pages_script_and_style(web: Web) -> None:
    """The Content-Security-Policy allows only the page's own script and style, by hash."""
    web.tell(leading(**FULL))
    answer = web.get("/_elector/")
    policy = dict(
        each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";")
    )
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert not re.findall(r'(?:src|href)="(?!data:,|status"|metrics")', answer.text)
    assert " style=" not in answer.text


def test_configurations_and_their_difference_are_shown(web: Web) -> None:
    """The page shows both configurations and their difference; for large ones, the size."""
    web.tell(leading())
    publish_view(web, ConfigView("a: 1\n", "a: 2\n", ("-a: 1", "+a: 2")))
    text = page(web)
    assert '<span class="plus">+a: 2</span>' in text
    assert "a: 1\n</code>" in text
    publish_view(web, ConfigView("x" * LARGEST_TEXT, "y", ()))
    assert f"{LARGEST_TEXT + 1:,}" in page(web)


def test_the_page_of_a_stale_snapshot_is_503(web: Web) -> None:
    """For a stale snapshot, the page is a 503 with the reason, and shows no state."""
    web.tell(leading(**FULL), age_s=9.0)
    answer = web.get("/_elector/")
    assert answer.status_code == 503
    assert f"(limit {STALE_AFTER_S:g} s)" in answer.text
    assert 'id="leads"' not in answer.text
    assert leading().identity not in answer.text


def test_the_path_without_a_slash_is_redirected(web: Web) -> None:
    """The path without its slash is redirected, so that relative links work."""
    answer = web.get("/_elector", allow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["Location"] == "_elector/"  # for any host, scheme and prefix
    assert web.get("/_elector").url.endswith("/_elector/")


# --- the other replicas ---------------------------------------------------------------------------


def test_the_status_of_other_replicas_is_shown(
    fleet: Web, others: tuple[Upstream, Upstream]
) -> None:
    """The other replicas' own status is shown; an unreachable replica has a problem."""
    told = replicas(fleet, others)
    assert [each["status"] and each["status"]["identity"] for each in told] == [
        "prometheus-1",
        "prometheus-2",
        None,
    ]
    assert told[2]["problem"]
    assert {tuple(sorted(each)) for each in told} == {("problem", "status", "url")}
    text = page(fleet)
    assert "prometheus-2" in text
    assert f"</span>: {told[2]['problem']}</td>" in text
    assert others[0].request_line == "GET /_elector/status HTTP/1.1"


def test_a_status_without_a_gate_is_accepted(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """The status of an older version, which has no gate, is accepted."""
    told = json.loads(json_of(identity="prometheus-1"))
    del told["gate"]
    others[0].answer = say(json.dumps(told).encode())
    assert replicas(fleet, others)[0]["status"] == told


def test_this_replica_is_not_listed_twice(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """A peer that is this replica is omitted. || A headless Service also names this replica."""
    others[0].answer = say(json_of(identity="prometheus-0"))
    assert [bool(each["status"]) for each in replicas(fleet, others)] == [True, False]


def test_peers_are_asked_again_after_a_change_of_leader(
    fleet: Web, others: tuple[Upstream, Upstream]
) -> None:
    """After a change of the leader, cached answers are not used.

    They could name no leader, or two.
    """
    replicas(fleet, others)
    others[0].answer = say(json_of(identity="prometheus-1", is_leader=True))
    fleet.tell(following())  # prometheus-1 leads
    told = fleet.get("/_elector/fleet").json()["replicas"]
    assert [bool(each["status"] and each["status"]["is_leader"]) for each in told[:2]] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "HTTP 200"),
        (b"[1]", "HTTP 200"),
        (b"[" * 100_000, "HTTP 200"),
        (b'{"identity": "x"}', "status"),
        (json_of(role="x" * 2000), "status"),
        (b"x" * (LARGEST + 1), "large"),
        (json_of(x=float("nan")), "number"),
        (json_of()[:-1] + b', "x": 1e999}', "number"),
        *((json_of()[:-1] + b', "x": %b}' % nested(depth), "deeply") for depth in (500, 970)),
    ],
)
def test_an_invalid_status_of_a_peer_is_a_problem(
    fleet: Web, others: tuple[Upstream, Upstream], body: bytes, words: str
) -> None:
    """If a peer's answer is not a valid status, it is reported as a problem."""
    others[0].answer = say(body)
    told = replicas(fleet, others)[0]
    assert (told["url"], told["status"]) == (others[0].url, None)
    assert words in told["problem"]


def test_an_error_of_a_peer_is_shown(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """If a peer answers with an error, its status and message are shown."""
    body = b'{"error": "the supervisor has said nothing"}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d" % len(body)
    others[0].answer = say(body, head)
    assert replicas(fleet, others)[0]["problem"] == "HTTP 503: the supervisor has said nothing"


def test_text_of_peers_is_escaped(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """All text in the status of peers is escaped on the page."""
    others[0].answer = say(json_of(identity=EVIL, role=EVIL, leader=EVIL, reason=EVIL))
    replicas(fleet, others)
    text = page(fleet)
    assert text.count("<script>") == 1
    assert "<img" not in text


def test_lone_surrogates_are_replaced(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """Lone surrogates, which JSON may contain, are replaced on the page."""
    others[0].answer = say(json_of(identity="half \ud800", reason="\udfff"))
    assert replicas(fleet, others)[0]["status"]["identity"] == "half \ud800"
    fleet.tell(leading(**{**FULL, "reason": "so \ud800"}))
    text = page(fleet)
    assert "half ?" in text
    assert "so ?" in text


def test_a_silent_peer_does_not_block_others(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """A silent peer times out, and other requests are answered meanwhile."""
    hold = threading.Event()

    def silence(_client: socket.socket, _rest: bytes) -> None:
        hold.wait(60)

    replicas(fleet, others)
    others[0].answer = silence
    others[0].heads.clear()
    answers: list[Any] = []

    def ask() -> None:
        while not others[0].heads:
            answers[:] = fleet.get("/_elector/fleet").json()["replicas"]

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: others[0].heads, 20, "it is asked")
    assert fleet.get("/_elector/healthz").ok
    asking.join(30)
    hold.set()
    assert f" {LIMIT_S:g} s" in answers[1]["problem"]
    assert answers[2]["status"]["identity"] == "prometheus-2"


def test_names_of_peers_are_resolved(upstream: Upstream) -> None:
    """The name of a peer is resolved; a name that cannot be resolved is a problem."""
    upstream.answer = say(json_of(identity="prometheus-7"))
    peers = (f"localhost:{upstream.url.rpartition(':')[2]}", "nowhere.invalid", "a..b")
    with running(Web(peers=peers)) as web:
        web.tell(FOLLOWER)
        told = web.get("/_elector/fleet").json()["replicas"][1:]
    assert "prometheus-7" in [each["status"]["identity"] for each in told if each["status"]]
    assert [each["url"] for each in told[-2:]] == ["nowhere.invalid", "a..b"]
    assert all(each["problem"] for each in told[-2:])
    assert "DNS" in told[-1]["problem"]


@pytest.mark.parametrize(
    ("config", "passes"), [(USERS, True), ("{}", False)], ids=["users", "nobody"]
)
def test_credentials_are_passed_to_peers_only_with_users(
    tmp_path: Path, upstream: Upstream, config: str, passes: bool
) -> None:
    """Credentials are passed to peers only if the API has users.

    Other credentials are meant for Prometheus.
    """
    upstream.answer = say(json_of(identity="prometheus-1"))
    with running(Protected(tmp_path, config, peers=(upstream.url,))) as web:
        web.tell(FOLLOWER)
        assert web.get("/_elector/fleet", auth=ALICE).ok
    assert ("authorization" in dict(upstream.fields)) is passes
