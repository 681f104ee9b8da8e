"""No message contains a value of a configuration or another file: any may be a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.access.prometheus_access import opened
from wrapper.access.web_access import WebAccess
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.inputs import BadInputs, Inputs, Sources
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.election.kubeconfig import check_kubeconfig

M = "hunter2"
JOBS = f"scrape_configs: [{{job_name: {M}}}, {{job_name: {M}}}]\n"


def messages_of(follower: str | bytes, leader: str | bytes | None = None) -> str:
    """Return the problems of a file with both sections, or of a whole one with overrides."""
    first = Source("f.yml", follower.encode() if isinstance(follower, str) else follower)
    try:
        if leader is None:
            return "\n".join(render(first).likely_mistakes)
        content = leader.encode() if isinstance(leader, str) else leader
        rendered = WholeFile().render(first, [Source("l.yml", content)])
    except ConfigurationError as error:
        return str(error)
    return "\n".join(rendered.likely_mistakes)


@pytest.mark.parametrize(
    "content",
    [
        f"follower: {{password: {M}",
        f"follower: [{M}\n",
        f"follower: '{M}\n",
        f'follower: "{M}\\q"\n',
        f'follower: "\\x{M}"\n',
        f"follower: *{M}\n",
        f"a: &x 1\nb: &x 2\nfollower: *{M}\n",
        f"follower: !x!{M} y\n",
        f"follower: !<{M} y\n",
        f"follower: &{M}! y\n",
        f"%{M} 1\n---\nfollower: {{}}\n",
        f"%TAG ! {M}\n%TAG ! {M}\n---\nfollower: {{}}\n",
        f"follower: @{M}\n",
        f"follower: `{M}\n",
        f"follower:\n\tpassword: {M}\n",
        f"follower: {{}}\n password: {M}\n",
        f"follower: a: {M}: b\n",
        f"follower: |{M}\n",
        f"follower: >9{M}\n",
        f"follower:\n- {M}\nx: y\n - {M}\n",
        f"follower: {{}}\n{M}\n",
        f"{M}",
        f"- {M}\n",
        f"follower: {M}\n",
        f"follower: [{M}]\n",
        f"follower: {{}}\nleader: {M}\n",
        f"leader: {{password: {M}}}\n",
        f"follower: {{}}\nfollowr: {M}\n",
        f"follower: {{password: {M}, password: {M}}}\n",
        f"follower: {{? {{password: {M}}} : {M}}}\n",
        f"follower: {{? [{M}] : {M}}}\n",
        f"follower: {{<<: {M}}}\n",
        f"follower: {{<<: [{M}]}}\n",
        f"follower: &a {{password: {M}, x: *a}}\n",
        "follower: " + "[" * 300 + M,
        f"follower: {{a: {M}}}\nleader: {{a: [{M}]}}\n",
        f"follower: {{a: {{b: {M}}}}}\nleader: {{a: [{M}]}}\n",
        f"follower: {{a: {M}}}\nleader: {{a: {{$patch: {M}}}}}\n",
        f"follower: {{remote_writes: [{{url: {M}}}]}}\n",
        f"follower: {{}} # {M}\x01\n",
    ],
)
def test_problems_of_a_file_with_both_sections_have_no_value(content: str) -> None:
    """Each mistake is reported, and no message has a value."""
    assert messages_of(content)
    assert M not in messages_of(content)


@pytest.mark.parametrize(
    "override",
    [
        f"scrape_configs: [{{job_name: {M}, $patch: replace}}]",
        f"scrape_configs: [{{job_name: {M}2, $patch: replace}}]",
        f"scrape_configs: [{{job_name: {M}2, $patch: delete}}]",
        f"scrape_configs: [{{job_name: {M}, password: {M}, $patch: {M}}}]",
        f"scrape_configs: [{{password: {M}, $patch: replace}}]",
        f"scrape_configs: [{{password: {M}, $patch: delete}}]",
        f"scrape_configs: [{M}, {{$patch: replace}}]",
        f"scrape_configs: [{{$patch: {{a: {M}}}}}]",
        f"password: {{$patch: replace, password: {M}}}",
        f"password: [{M}]",
        f"- {M}",
        M,
        f"remote_writes: [{{url: {M}}}]",
    ],
)
def test_problems_of_overrides_have_no_value(override: str) -> None:
    """Each mistake of an override is reported, and no message has a value."""
    assert messages_of(JOBS + f"password: {M}\n", override)
    assert M not in messages_of(JOBS + f"password: {M}\n", override)


@pytest.mark.parametrize(
    "entry",
    [
        f"{{url: '{M}'}}",
        f"{{url: 'ftp://{M}@h/'}}",
        f"{{url: 'http://{M}:{M}@h:x/'}}",
        f"{{url: 'http://h', proxy_url: 'socks5://{M}@p'}}",
        f"{{url: 'http://h', remote_timeout: {M}}}",
        f"{{url: 'http://h', tls_config: {{key: {M}}}}}",
        f"{{url: 'http://h', tls_config: {{min_version: TLS10, a: {M}}}}}",
        f"{{url: 'http://h', proxy_connect_header: {{a: {M}}}}}",
        f"{{url: 'http://h', follow_redirects: {M}}}",
        f"{{url: 'http://h', queue_config: {{max_backoff: {M}}}}}",
        f"{{url: 'http://{M}@h', name: {M}}}, {{url: 'http://{M}@i', name: {M}}}",
        f"{{url: 'http://{M}@h', sigv4: {{secret_key: {M}}}}}",
        f"{{url: 'http://{M}@h', queue_config: {{sample_age_limit: 1s}}}}",
        M,
    ],
)
def test_problems_of_gate_entries_have_no_value(entry: str) -> None:
    """Each problem or note of an entry with the gate is reported, without a value."""
    gate = GateSettings("http://127.0.0.1:9096", "/out")
    override = Source("l.yml", f"remote_write: [{entry}]".encode())
    try:
        rendered = WholeFile(gate).render(Source("f.yml", b"{}"), [override])
        messages_of = rendered.notes
    except ConfigurationError as error:
        messages_of = error.problems
    assert messages_of
    assert M not in "".join(messages_of)


@pytest.mark.parametrize("cut", [b"\xff", b"\x00", b"\x07", b"\xed\xa0\x80"])
def test_problems_of_unreadable_bytes_have_no_value(cut: bytes) -> None:
    """The text around an unreadable byte is not shown."""
    content = f"follower: {{password: {M}".encode() + cut + f"{M}}}".encode()
    assert messages_of(content)
    assert M not in messages_of(content)


DOCUMENT = f"""\
follower:
  global: {{external_labels: {{a: {M}, b: '{M}', c: "{M}"}}}}
  scrape_configs:
  - job_name: a
    basic_auth:
      username: {M}
      password: |
        {M}
        {M}
  - &x
    bearer_token: {M} {M}
  - <<: *x
leader:
  remote_write: [{{url: "http://{M}@h", headers: {{a: {M}}}}}]
"""
_NOISE = [*"\"'{}[],:#&*!|>%@`-?\n\t \\", "\x00", "\x85", "- ", ": ", "<<: ", "---\n", "..."]


@given(place=st.integers(0, len(DOCUMENT)), noise=st.sampled_from(_NOISE), is_cut=st.booleans())
def test_any_slip_shows_no_value(place: int, noise: str, *, is_cut: bool) -> None:
    """With any character inserted, or the rest missing, no message has a value."""
    rest = "" if is_cut else DOCUMENT[place:]
    assert M not in messages_of(DOCUMENT[:place] + noise + rest)


def test_problems_of_variables_have_no_value(tmp_path: Path) -> None:
    """The values of variables are not shown, also if they break the YAML."""
    config = tmp_path / "c.yml"
    environ = {b"PASSWORD": f"[{M}\n  : *{M}".encode()}
    for content in ("a: $(NONE)\nb: $(PASSWORD)\n", "a: $(PASSWORD)\n", "$(PASSWORD): $(NONE)"):
        config.write_text(content)
        with pytest.raises(BadInputs) as raised:
            Inputs(Sources(config, (), tmp_path, environ)).read()
        assert raised.value.problems
        assert M not in str(raised.value)


def test_problems_of_unpacking_have_no_value(tmp_path: Path) -> None:
    """The content of a file that cannot be unpacked is not shown."""
    config = tmp_path / "c.yml"
    for content in (b"\x1f\x8b" + M.encode(), b"\x1f\x8b\x08" + M.encode() * 9, M.encode()):
        config.write_bytes(content)
        with pytest.raises(BadInputs) as raised:
            Inputs(Sources(config, (), tmp_path)).read()
        assert M not in str(raised.value)


# --- other files with secrets ---------------------------------------------------------------------

KUBECONFIG = f"""\
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "https://{M}:{M}@h", proxy-url: "http://{M}:{M}@p:1"}}}}]
users:
- name: test
  user:
    token: {M}
    client-key-data: {M}
    password: '{M}'
"""
HTTP_CONFIG = f"""\
basic_auth: {{username: {M}, password: "{M}"}}
tls_config:
  key: {M}
  cert: {M}
http_headers: {{X-A: {{secrets: [{M}], values: [{M}]}}}}
"""
WEB_CONFIG = f"""\
http_server_config: {{headers: {{X-Frame-Options: {M}}}}}
basic_auth_users:
  alice: {M}
"""


def _of_web(file: str) -> str:
    try:
        WebAccess(file)
    except ConfigurationError as error:
        return str(error)
    return ""


FILES: dict[str, tuple[str, Callable[[str], str]]] = {
    "kubeconfig": (KUBECONFIG, check_kubeconfig),
    "HTTP client": (HTTP_CONFIG, lambda file: "; ".join(opened("--flag", file)[1])),
    "web": (WEB_CONFIG, _of_web),
}
# Values that YAML does not read as text if they are not quoted.
NO_TEXTS = (f"!{M}", f"*{M}", f"&{M}! y", f"!x!{M} y", f"!<{M} y", f"!!int {M}", f"!!bool {M}",
            f"!!timestamp {M}", f"!!binary {M}é", f"|{M}", f"@{M}", f"[{M}", f"a: {M}",
            f'"\\q{M}"', f"{M}: {{<<: {M}}}", f"{{[{M}]: 1}}", f"{M}\x01")  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("value", NO_TEXTS)
def test_password_that_yaml_reads_as_another_type_is_not_shown(
    tmp_path: Path, kind: str, value: str
) -> None:
    """A password that begins like an alias or a tag is not shown in the problem."""
    (tmp_path / "file").write_text(f"password: {value}\n")
    problem = FILES[kind][1](str(tmp_path / "file"))
    assert problem
    assert M not in problem


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("entries", [f"password:{M}", f"password: a, {M}", f'"password: {M}": 1'])
def test_value_that_became_a_key_is_not_shown(tmp_path: Path, kind: str, entries: str) -> None:
    """A value that is read as a key, for want of a space or due to a comma, is not shown."""
    (tmp_path / "file").write_text(f"basic_auth: {{{entries}}}\nbasic_auth_users: {{{entries}}}\n")
    problem = FILES[kind][1](str(tmp_path / "file"))
    assert problem
    assert M not in problem


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_any_slip_in_another_file_shows_no_value(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    """This also holds for the files about access."""
    content, problem_of = FILES[kind]
    place = data.draw(st.integers(0, len(content)))
    noise = data.draw(st.sampled_from(_NOISE))
    rest = "" if data.draw(st.booleans()) else content[place:]
    file = tmp_path_factory.getbasetemp() / "file"
    file.write_text(content[:place] + noise + rest)
    assert M not in problem_of(str(file))
