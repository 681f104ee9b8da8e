"""The leader's ``remote_write`` with the gate: renderings, endpoints and refused entries."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from wrapper.configuration.gate_comment import endpoints_in, with_endpoints
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.render import Rendered, WholeFile, recognized, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.model.configuration import Rendering
from wrapper.model.gate import Endpoint
from wrapper.model.roles import Role

GATE = GateSettings("http://127.0.0.1:9096", "/out", identity="prometheus-0")
BASE = "global: {scrape_interval: 1.10} # kept\nscrape_configs:\n- job_name: a # kept\n"
ENTRY = "remote_write:\n- {url: 'http://r/', name: main}\n"


def whole(
    base: str, *overrides: str, gate: GateSettings | None = GATE, folder: str = ""
) -> Rendered:
    """Render a whole file and the leader's overrides."""
    sources = [Source("l.yml", text.encode(), folder) for text in overrides]
    return WholeFile(gate).render(Source("p.yml", base.encode(), folder), sources)


def both(content: str) -> Rendered:
    """Render a file with both sections."""
    return render(Source("x.yml", content.encode()), GATE)


def entries_of(rendering: Rendering) -> list[dict[str, object]]:
    """Return the entries of ``remote_write`` as Prometheus reads them."""
    entries: list[dict[str, object]] = yaml.safe_load(rendering.content).get("remote_write", [])
    return entries


def entry(text: str) -> tuple[dict[str, object], Endpoint]:
    """Return the leader's only entry as Prometheus reads it, and its endpoint."""
    rendered = whole(BASE, f"remote_write:\n- {{{text}}}\n").renderings
    [found] = entries_of(rendered.leader)
    [endpoint] = rendered.leader.endpoints
    return found, endpoint


def refused(base: str, *overrides: str) -> tuple[str, ...]:
    """Return the problems of inputs."""
    with pytest.raises(ConfigurationError) as raised:
        whole(base, *overrides)
    return raised.value.problems


def named(url: str) -> str:
    """Return the name of an endpoint with this URL."""
    return hashlib.sha256(url.encode()).hexdigest()[:8]


# --- both renderings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rendered",
    [
        whole(BASE, ENTRY),
        whole(BASE, "", ENTRY),
        whole("{}", ENTRY),
        whole("{}", "{remote_write: [{url: 'http://r/', name: main}]}"),
        whole("remote_write:\n" + BASE, ENTRY),
        whole("remote_write:\n- url: http://own\n" + BASE, ENTRY),
        whole("a: &x {b: 1}\nc: *x\n", ENTRY),
        whole("%YAML 1.1\n---\na: |+\n  x\n\n---\nb: 1\n", ENTRY),
        both(f"follower: {{}}\nleader:\n  {ENTRY.replace(chr(10), chr(10) + '  ')}"),
        both(
            "follower:\n  global: &g {scrape_interval: 1s}\nleader:\n  global: *g\n"
            "  remote_write:\n  - &e {url: http://r, name: main}\n  - {<<: *e, name: two}\n"
        ),
    ],
)
def test_renderings_are_equal_if_the_leader_only_writes(rendered: Rendered) -> None:
    """If the leader only adds ``remote_write``, a change of role needs no reload, but a leader."""
    follower, leader = rendered.renderings.follower, rendered.renderings.leader
    assert follower.content == leader.content
    assert not rendered.renderings.has_overrides
    assert rendered.renderings.needs_leader
    assert follower.endpoints == leader.endpoints != ()
    assert entries_of(follower)[-1]["url"] in {GATE.url_of("main"), GATE.url_of("two")}
    assert follower.writes_remotely
    assert rendered.notes == ()


def test_follower_is_unchanged_beside_the_gate_entry() -> None:
    """Scalars and comments of the file stay as without the gate."""
    content = whole(BASE, ENTRY).renderings.follower.content.decode()
    assert content.startswith(BASE)


def test_other_overrides_are_the_leaders_only() -> None:
    """With other overrides the renderings differ, but the gate's entry is in both."""
    rendered = whole(BASE, "rule_files: [a.yml]\n" + ENTRY).renderings
    assert rendered.has_overrides
    assert b"rule_files" not in rendered.follower.content
    assert entries_of(rendered.follower) == entries_of(rendered.leader)


def test_without_the_gate_nothing_changes() -> None:
    """Without the gate, the entry is only in the leader's rendering, and writes ungated."""
    rendered = whole(BASE, ENTRY, gate=None).renderings
    assert not rendered.follower.writes_remotely
    assert rendered.leader.writes_ungated
    assert rendered.needs_leader
    assert rendered.leader.endpoints == ()
    assert not whole(BASE).renderings.needs_leader


def test_entry_of_the_follower_is_not_gated() -> None:
    """The follower's own ``remote_write`` bypasses the gate, as ``writes_ungated`` shows."""
    rendered = whole("remote_write:\n- url: http://own\n", ENTRY).renderings
    assert [each["url"] for each in entries_of(rendered.follower)] == [
        "http://own",
        GATE.url_of("main"),
    ]
    assert rendered.follower.writes_ungated
    assert [each.name for each in rendered.follower.endpoints] == ["main"]
    alone = whole("remote_write:\n- url: http://own\n").renderings
    assert alone.follower.endpoints == ()
    assert alone.follower.writes_ungated


def test_entry_that_replaces_the_followers_is_in_both() -> None:
    """An entry that replaces the follower's is in both renderings, beside the follower's own."""
    patch = "remote_write:\n- {$patch: replace, url: http://own, headers: {X-A: b}}\n"
    rendered = whole("remote_write:\n- url: http://own\n", patch).renderings
    gated = GATE.url_of(named("http://own"))
    assert [each["url"] for each in entries_of(rendered.follower)] == ["http://own", gated]
    assert [each["url"] for each in entries_of(rendered.leader)] == [gated]
    assert rendered.leader.endpoints[0].url == "http://own"
    assert rendered.follower.writes_ungated
    assert not rendered.leader.writes_ungated


def test_removed_entry_stays_in_the_follower() -> None:
    """If the leader removes the follower's entry, nothing is gated; the follower still writes."""
    patch = "remote_write:\n- {$patch: delete, url: http://own}\n"
    rendered = whole("remote_write:\n- url: http://own\n", patch).renderings
    assert rendered.follower.writes_ungated
    assert not rendered.leader.writes_remotely
    assert rendered.leader.endpoints == ()


def test_file_is_rendered_again_with_other_overrides() -> None:
    """The cache of the file does not keep the entries of an earlier override."""
    renderer = WholeFile(GATE)
    base = Source("p.yml", BASE.encode())
    for name in ("a", "b"):
        text = f"remote_write: [{{url: 'http://r', name: {name}}}]"
        found = renderer.render(base, [Source("l.yml", text.encode())]).renderings
        assert [each["name"] for each in entries_of(found.follower)] == [name]
    assert renderer.render(base).renderings.follower.content == BASE.encode()


# --- one entry ------------------------------------------------------------------------------------


def test_connection_fields_are_moved_to_the_gate() -> None:
    """The fields of the connection become the endpoint's; all others stay as written."""
    found, endpoint = entry(
        "url: 'https://u:p@r/x?a=b', name: a/b, remote_timeout: 1m, headers: {X-A: '1'}, "
        "basic_auth: {username: u, password_file: p}, queue_config: {batch_send_deadline: 1s, "
        "max_backoff: 500ms, retry_on_http_429: true}, "
        "tls_config: {ca_file: ca.pem, server_name: s}, proxy_url: 'http://p:1', "
        "no_proxy: a, proxy_connect_header: {X-B: [c]}, "
        "follow_redirects: false, enable_http2: false, protobuf_message: x, "
        "write_relabel_configs: [{action: drop, regex: x}]"
    )
    assert found == {
        "url": "http://127.0.0.1:9096/gate/a%2Fb",
        "name": "a/b",
        "remote_timeout": "1m5s",
        "headers": {"X-A": "1"},
        "basic_auth": {"username": "u", "password_file": "p"},
        "queue_config": {
            "batch_send_deadline": "1s",
            "max_backoff": "500ms",
            "retry_on_http_429": True,
        },
        "protobuf_message": "x",
        "write_relabel_configs": [{"action": "drop", "regex": "x"}],
    }
    assert endpoint == Endpoint(
        "a/b",
        "https://u:p@r/x?a=b",
        60.0,
        1.0,
        0.5,
        {
            "tls_config": {"ca_file": "/out/ca.pem", "server_name": "s"},
            "proxy_url": "http://p:1",
            "no_proxy": "a",
            "proxy_connect_header": {"X-B": ["c"]},
            "follow_redirects": False,
        },
        retries_429=True,
    )


def test_defaults_are_those_of_prometheus() -> None:
    """Without timeouts, Prometheus' defaults apply; its timeout for the gate is longer."""
    found, endpoint = entry("url: http://r")
    assert found == {"url": GATE.url_of(named("http://r")), "remote_timeout": "35s"}
    assert endpoint == Endpoint(named("http://r"), "http://r", 30.0, 5.0, 5.0)


def test_relative_paths_are_below_the_folder_of_the_input() -> None:
    """The gate's relative paths are below the input's folder, if that is not the output's."""
    text = "remote_write: [{url: 'http://r', tls_config: {ca_file: ca.pem}}]"
    rendered = whole(BASE, text, folder="/in")
    [endpoint] = rendered.renderings.leader.endpoints
    assert endpoint.client == {"tls_config": {"ca_file": "/in/ca.pem"}}
    assert [file.path for file in rendered.gate_files] == ["/in/ca.pem"]
    assert rendered.leader_files == rendered.follower_files == ()


def test_files_that_prometheus_reads_stay_its_own() -> None:
    """Files of credentials are read by Prometheus, files of TLS by the gate."""
    text = (
        "remote_write: [{url: 'http://r', authorization: {credentials_file: /t}, "
        "oauth2: {tls_config: {ca_file: /o}}, tls_config: {ca_file: /c}}]"
    )
    rendered = whole(BASE, text)
    assert sorted(file.path for file in rendered.leader_files) == ["/o", "/t"]
    assert [file.path for file in rendered.gate_files] == ["/c"]
    assert not whole(BASE, text, gate=None).gate_files


def test_names_are_derived_from_urls_and_distinct() -> None:
    """Names come from URLs without passwords, which may change, and are made distinct."""
    text = (
        "remote_write: [{url: 'http://a:b@r/'}, {url: 'http://r/', headers: {X-A: b}}, "
        f"{{url: 'http://r/', name: {named('http://r/')}-2}}, {{url: 'http://s/'}}]"
    )
    names = [each.name for each in whole(BASE, text).renderings.leader.endpoints]
    made = named("http://r/")
    assert names == [made, f"{made}-3", f"{made}-2", named("http://s/")]


def test_signed_requests_bypass_the_gate() -> None:
    """An entry with ``sigv4`` bypasses the gate, with a note at its place.

    Another host and path would break the signature.
    """
    rendered = whole(BASE, ENTRY + "- {url: 'http://aws', sigv4: {region: a}}\n")
    follower, leader = rendered.renderings.follower, rendered.renderings.leader
    assert [each["url"] for each in entries_of(follower)] == [GATE.url_of("main")]
    assert [each["url"] for each in entries_of(leader)] == [GATE.url_of("main"), "http://aws"]
    assert leader.writes_ungated
    assert not follower.writes_ungated
    [note] = rendered.notes
    assert note.startswith("l.yml:3:3: this entry does not go through the gate, because sigv4")
    alone = whole(BASE, "remote_write: [{url: 'http://aws', sigv4: {region: a}}]")
    assert alone.renderings.follower.content == BASE.encode()
    assert alone.renderings.leader.endpoints == ()
    assert len(alone.notes) == 1
    assert not whole(BASE, "remote_write: [{url: 'http://aws', sigv4: }]").notes


# --- refused entries ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[{name: a}]", "l.yml:1:16: url: missing; write the receiver's, for example http://"),
        ("[{url: }]", "l.yml:1:17: missing; write the receiver's, for example http://"),
        ("[{url: 'ftp://SECRET/'}]", "l.yml:1:17: not an HTTP URL; write it whole, for example"),
        ("[{url: [SECRET]}]", "l.yml:1:17: must be a single value, not a list"),
        ("[SECRET]", "l.yml:1:16: an entry of remote_write is a mapping, not a single value; writ"),
        ("[{url: 'http://r', remote_timeout: 30}]", "l.yml:1:34: not a duration; write whole"),
        ("[{url: 'http://r', remote_timeout: 0s}]", "l.yml:1:34: not above zero; write a longer"),
        (
            "[{url: 'http://r', queue_config: SECRET}]",
            "l.yml:1:34: must be a mapping, not a single",
        ),
        (
            "[{url: 'http://r', queue_config: {max_backoff: 1.5s}}]",
            "l.yml:1:49: not a duration; write whole numbers",
        ),
        (
            "[{url: 'http://r', queue_config: {retry_on_http_429: SECRET}}]",
            "l.yml:1:49: must be true or false, not a single value",
        ),
        (
            "[{url: 'http://r', tls_config: {min_version: TLS11}}]",
            "l.yml:1:47: TLS 1.0 and 1.1 are not supported (RFC 8996); write TLS12",
        ),
        (
            "[{url: 'http://r', name: SECRET}, {url: 'http://s', name: SECRET}]",
            "l.yml:1:49: the entry of remote_write at l.yml:1 has this name too, and with the gate",
        ),
    ],
)
def test_refused_entry_has_a_place(text: str, start: str) -> None:
    """A refused entry is reported with place, cause and remedy, without values."""
    lines = refused(BASE, f"remote_write: {text}\n")
    assert lines[0].startswith(start)
    assert "SECRET" not in "".join(lines)


def test_name_of_a_replaced_follower_entry_is_taken() -> None:
    """With the gate, a replaced entry's name is taken: both are in the follower's rendering."""
    patch = "remote_write: [{$patch: replace, name: a, url: 'http://r'}]"
    lines = refused("remote_write:\n- {name: a, url: http://own}\n", patch)
    [line] = lines
    assert line == (
        "l.yml:1:16: the entry of remote_write at p.yml:2 has this name too, and with the gate "
        "both are in the same configuration; give them different names, or remove one"
    )
    apart = "remote_write: [{name: a, url: 'http://r'}, {name: a, url: 'http://s', sigv4: {a: b}}]"
    [line] = refused(BASE, apart)
    assert line.startswith("l.yml:1:44: the entry of remote_write at l.yml:1 has this name too")
    signed = "remote_write: [{$patch: replace, name: a, url: 'http://r', sigv4: {region: a}}]"
    assert whole("remote_write:\n- {name: a, url: http://own}\n", signed).notes


def test_duplicates_are_refused_with_the_gate_too() -> None:
    """Entries that Prometheus would refuse as duplicates are refused with the gate as well."""
    [line] = refused(BASE, "remote_write: [{url: 'http://r'}, {url: 'http://r'}]")
    assert "as a duplicate of the one at l.yml:1" in line


# --- saved renderings -----------------------------------------------------------------------------


def test_saved_rendering_has_its_endpoints() -> None:
    """A saved rendering is recognised with its endpoints, which are in its last line."""
    for text in (ENTRY, ENTRY + "- {url: 'http://aws', sigv4: {region: a}}\n"):
        leader = whole(BASE, text).renderings.leader
        found = recognized(Role.LEADER, leader.content, "kept")
        assert found == leader
        assert found.endpoints == leader.endpoints
        assert found.writes_ungated == leader.writes_ungated


def test_endpoints_are_on_a_line_of_their_own() -> None:
    """The endpoints have their own line, also after a text without a final line break."""
    endpoints = (Endpoint("a", "http://r"),)
    content = with_endpoints(b"a: 1", endpoints)
    assert yaml.safe_load(content) == {"a": 1}
    assert endpoints_in(content) == endpoints
    assert with_endpoints(b"a: 1", ()) == b"a: 1"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"# prometheus-elector gate: ",
        b"# prometheus-elector gate: [1]",
        b'# prometheus-elector gate: [{"name": "a", "color": "b"}]',
        b"# prometheus-elector gate: 1",
        b"# prometheus-elector gate: " + b"[" * 100_000,
    ],
)
def test_unreadable_line_gives_no_endpoints(line: bytes) -> None:
    """If the line is unreadable, the rendering is used without endpoints.

    Its Prometheus keeps what it cannot send.
    """
    content = whole(BASE, ENTRY).renderings.leader.content
    before, _, _ = content.rstrip(b"\n").rpartition(b"\n")
    found = recognized(Role.LEADER, before + b"\n" + line + b"\n", "kept")
    assert found.endpoints == ()
    assert found.writes_remotely
