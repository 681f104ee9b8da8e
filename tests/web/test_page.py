"""The status page: whole without a script, safe whatever it shows, and what other replicas say."""

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

_view_writers: dict[
    int, ConfigViewWriter
] = {}  # by the descriptor of the web process: one writer each

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def others() -> Iterator[tuple[Upstream, Upstream]]:
    """Two replicas' APIs, which say what a test has them say."""
    with closing(Upstream()) as one, closing(Upstream()) as another:
        yield one, another


@pytest.fixture(scope="module")
def shared_fleet(others: tuple[Upstream, Upstream]) -> Iterator[Web]:
    """Serve with one web process that knows two others, and one that nobody runs."""
    peers = (others[0].url, others[1].url, f"http://127.0.0.1:{free_port()}")
    with running(Web(peers=peers)) as web:
        yield web


@pytest.fixture
def fleet(shared_fleet: Web, others: tuple[Upstream, Upstream]) -> Web:
    """Hand it out; the others say that they follow."""
    for number, other in enumerate(others, 1):
        other.heads.clear()
        other.answer = say(json_of(identity=f"prometheus-{number}"))
    shared_fleet.tell(leading(**FULL))
    return shared_fleet


def json_of(**changes: Any) -> bytes:
    """Return what a follower says of itself, with these changes."""
    told = {**status_of(following(), clock.now()), **changes}
    return json.dumps(told).encode()


def nested(depth: int) -> bytes:
    """Return lists in lists as JSON."""
    return b"[" * depth + b"]" * depth


def page(web: Web) -> str:
    """Return the page's text."""
    answer = web.get("/_elector/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.text


def replicas(web: Web, others: tuple[Upstream, Upstream]) -> list[dict[str, Any]]:
    """Return what the others say, asked anew: what they said before is passed on for a while."""
    for other in others:
        other.heads.clear()

    def told() -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = web.get("/_elector/fleet").json()["replicas"]
        return answers if others[1].heads else []

    return wait_until(told, 20, "they are asked")[1:]


# --- what it shows --------------------------------------------------------------------------------


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
def test_it_is_whole_without_a_script(web: Web, text: str) -> None:
    """What there is to know is in the HTML as it comes."""
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
def test_the_lease_is_shown_as_it_is_known(
    web: Web, snapshot: Snapshot, holder: str, expiry: str
) -> None:
    """One that has expired does not expire in 0 s, and one that was not read may have a holder."""
    web.tell(snapshot)
    text = re.sub(r"\b[1-9][0-9]* s unless", "N s unless", page(web))
    assert f'<dd id="holder">{holder}</dd>' in text
    assert f"<dt>{expiry}</dd>" in text


def test_of_a_file_that_is_prometheus_own_nothing_is_claimed(web: Web) -> None:
    """It may have a remote_write, of which nothing is known here."""
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
def test_what_the_gate_does_is_shown(web: Web, changes: dict[str, Any], state: str) -> None:
    """In words, and what follows from it; what is not known is said to be unknown."""
    web.tell(following(gate={**FRESH_GATE, **changes}))
    text = page(web)
    assert re.search(rf'<strong id="gate-state"[^>]*>{state}</strong>: [A-Za-z]', text)
    assert "<td>unknown</td><td>unknown</td><td>nothing</td>" in text
    assert ('<p class="bad">it was killed</p>' in text) is (state == "not running")


def test_without_a_gate_the_page_has_no_part_for_it(web: Web) -> None:
    """It would be empty."""
    web.tell(following())
    assert "h-gate" not in page(web)


def test_a_follower_shows_who_leads(web: Web) -> None:
    """Another replica, or nobody."""
    web.tell(following())
    assert '<strong id="leader">prometheus-1</strong>' in page(web)
    web.tell(FOLLOWER)
    assert '<span id="no-leader"' in page(web)


def test_a_holder_that_does_not_renew_is_shown(web: Web) -> None:
    """By the lease and by the reason, which has the cure; and in the status."""
    web.tell(following())
    assert 'id="overdue"' not in page(web)
    web.tell(following(holder_is_overdue=True, reason="run kubectl -n x patch"))
    text = page(web)
    assert '<p id="reason" class="alarm">run kubectl -n x patch' in text
    assert 'id="overdue"' in text
    assert web.get("/_elector/status").json()["lease"]["holder_is_overdue"] is True


def test_nobody_is_said_to_lead_only_where_that_is_known(web: Web) -> None:
    """Whoever has a lease that is out of reach may have renewed it: head, table and history."""
    entry = HandOver(1.7e9, None, "prometheus-1", "it is not known")
    web.tell(replace(OUT_OF_SIGHT, history=(entry,)))
    text = page(web)
    assert 'id="unknown-leader"' in text
    assert f"<td>{NOT_KNOWN}</td>" in text
    assert f'<th scope="row">{NOT_KNOWN}</th>' in text
    assert '<rect class="unknown"' in text
    assert 'id="no-leader"' not in text
    assert f"{NOBODY}</" not in text


def test_invalid_edits_are_shown_with_their_places(web: Web) -> None:
    """A line for each, as the log has them."""
    problem = "elector.yml:3:7: mapping values are not allowed\nelector.yml:9:1: unknown key"
    web.tell(leading(configuration_is_valid=False, configuration_problem=problem))
    text = page(web)
    assert 'id="invalid"' in text
    assert 'invalid</span>: see <a href="#problems">the problems</a>' in text
    assert 'id="problems"' in text
    for line in problem.splitlines():
        assert f"<li><code>{line}</code></li>" in text


def test_a_good_input_is_not_blamed_for_a_full_disk(web: Web) -> None:
    """It is its output that cannot be written."""
    web.tell(leading(configuration_problem="the rendering cannot be written: no space left"))
    text = page(web)
    assert 'id="undelivered"' in text
    assert "<li><code>the rendering cannot be written: no space left</code></li>" in text
    assert 'id="invalid"' not in text


def test_names_and_reasons_are_shown_and_never_run(web: Web) -> None:
    """Whatever a lease, a configuration or a history says is text."""
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
    """Publish both configurations beside the snapshots."""
    fd = web.options.snapshot_fd
    _view_writers.setdefault(fd, ConfigViewWriter(fd)).publish(view)


def test_only_its_own_script_and_style_may_run(web: Web) -> None:
    """The policy names the hash of each, and nothing from elsewhere."""
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


def test_both_configurations_and_their_difference(web: Web) -> None:
    """As the supervisor has published them; and the reason where it has not."""
    web.tell(leading())
    publish_view(web, ConfigView("a: 1\n", "a: 2\n", ("-a: 1", "+a: 2")))
    text = page(web)
    assert '<span class="plus">+a: 2</span>' in text
    assert "a: 1\n</code>" in text
    publish_view(web, ConfigView("x" * LARGEST_TEXT, "y", ()))
    assert f"{LARGEST_TEXT + 1:,}" in page(web)


def test_a_stale_page_shows_nothing_of_the_present(web: Web) -> None:
    """503, and why."""
    web.tell(leading(**FULL), age_s=9.0)
    answer = web.get("/_elector/")
    assert answer.status_code == 503
    assert f"(limit {STALE_AFTER_S:g} s)" in answer.text
    assert 'id="leads"' not in answer.text
    assert leading().identity not in answer.text


def test_without_its_slash_it_is_found(web: Web) -> None:
    """A redirect to where relative links are right."""
    answer = web.get("/_elector", allow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["Location"] == "_elector/"  # whatever host, scheme or prefix was asked
    assert web.get("/_elector").url.endswith("/_elector/")


# --- the other replicas ---------------------------------------------------------------------------


def test_others_tell_for_themselves(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """Each with its own word; the one that nobody runs as unreachable."""
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


def test_one_of_an_older_version_is_no_stranger(
    fleet: Web, others: tuple[Upstream, Upstream]
) -> None:
    """Its status says nothing of a gate."""
    told = json.loads(json_of(identity="prometheus-1"))
    del told["gate"]
    others[0].answer = say(json.dumps(told).encode())
    assert replicas(fleet, others)[0]["status"] == told


def test_its_own_word_is_not_told_twice(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """A headless service names this replica too."""
    others[0].answer = say(json_of(identity="prometheus-0"))
    assert [bool(each["status"]) for each in replicas(fleet, others)] == [True, False]


def test_others_are_asked_anew_after_a_change_of_leader(
    fleet: Web, others: tuple[Upstream, Upstream]
) -> None:
    """What they said before it, which could name no leader or two, is not passed on."""
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
def test_what_is_no_status_is_told_as_that(
    fleet: Web, others: tuple[Upstream, Upstream], body: bytes, words: str
) -> None:
    """Another program, or one that means no good."""
    others[0].answer = say(body)
    told = replicas(fleet, others)[0]
    assert (told["url"], told["status"]) == (others[0].url, None)
    assert words in told["problem"]


def test_a_refusal_is_told_in_its_words(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """Stale, or protected otherwise than this one."""
    body = b'{"error": "the supervisor has said nothing"}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d" % len(body)
    others[0].answer = say(body, head)
    assert replicas(fleet, others)[0]["problem"] == "HTTP 503: the supervisor has said nothing"


def test_what_others_say_is_shown_and_never_run(
    fleet: Web, others: tuple[Upstream, Upstream]
) -> None:
    """Their names, roles and reasons are text."""
    others[0].answer = say(json_of(identity=EVIL, role=EVIL, leader=EVIL, reason=EVIL))
    replicas(fleet, others)
    text = page(fleet)
    assert text.count("<script>") == 1
    assert "<img" not in text


def test_what_no_encoding_has_is_replaced(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """JSON may hold half a surrogate pair, of which no page can be made."""
    others[0].answer = say(json_of(identity="half \ud800", reason="\udfff"))
    assert replicas(fleet, others)[0]["status"]["identity"] == "half \ud800"
    fleet.tell(leading(**{**FULL, "reason": "so \ud800"}))
    text = page(fleet)
    assert "half ?" in text
    assert "so ?" in text


def test_a_silent_one_holds_nobody_up(fleet: Web, others: tuple[Upstream, Upstream]) -> None:
    """It is given up; until then, whoever asks for something else is answered."""
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


def test_names_stand_for_all_their_addresses(upstream: Upstream) -> None:
    """NAME:PORT is looked up; what is no name is told."""
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
def test_credentials_are_passed_on_only_where_they_are_ours(
    tmp_path: Path, upstream: Upstream, config: str, passes: bool
) -> None:
    """A password for this API is one for the others'; any other is Prometheus'."""
    upstream.answer = say(json_of(identity="prometheus-1"))
    with running(Protected(tmp_path, config, peers=(upstream.url,))) as web:
        web.tell(FOLLOWER)
        assert web.get("/_elector/fleet", auth=ALICE).ok
    assert ("authorization" in dict(upstream.fields)) is passes
