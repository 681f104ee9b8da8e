"""A real Prometheus reads a rendering as it would read the input, by its API's status/config.

Each case is loaded twice, as a person would write it into Prometheus' own file, and as it is
rendered: Prometheus must show the same for both. Generated cases that Prometheus refuses as written
are skipped: libyaml accepts a little more than go-yaml (`[a?b]`), and writes it so that both accept
it.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.certificates import Authority
from tests.real.loadable import completed, is_asked, version
from tests.real.parts import Prometheus, started
from tests.schema import UNKNOWN, schema
from tests.unit.configuration.test_config_paths import trails
from wrapper.configuration.config_paths import PLACES
from wrapper.configuration.inputs import Inputs, Sources
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.model.configuration import Renderings
from wrapper.model.roles import Role

VECTORS = Path(__file__).parent.parent / "vectors"
GOLDEN = json.loads((VECTORS / "merge.json").read_text("utf-8"))
REFUSED = "refused"
# Debian's Prometheus is built without some of them; others query their service at once.
OPTIONAL = ("kubernetes_sd_configs", "consul_sd_configs")


class Oracle(Prometheus):
    """A long-lived Prometheus that loads one configuration after another and shows each."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "{}", "--web.enable-lifecycle")
        self._session = requests.Session()

    def shows(self, content: str | bytes) -> str:
        """Load a configuration; return what is loaded, or REFUSED if it cannot be parsed.

        A configuration that fails later, such as for a missing certificate, was parsed, so it is
        returned.
        """
        data = content.encode() if isinstance(content, str) else content
        self.config_file.write_bytes(data)
        answer = self._session.post(f"{self.url}/-/reload", timeout=30)
        if "couldn't load configuration" in answer.text:
            return REFUSED
        shown = self._session.get(f"{self.url}/api/v1/status/config", timeout=30)
        return str(shown.json()["data"]["yaml"])

    def knows(self, key: str) -> bool:
        """Tell whether this build has a kind of service discovery."""
        text = self.complaint({"scrape_configs": [{"job_name": "a", key: []}]})
        return f"field {key} not found" not in text

    def lacks(self, places: Iterable[str]) -> set[str]:
        """Return the parts of these places that this build lacks, as Debian's lacks some.

        They are kinds of service discovery, and Azure's authentication.
        """
        kinds = {name for each in places for name in each.split("/") if "_sd_configs" in name}
        has_azure = "field azuread not" not in self.complaint({"remote_write": [{"azuread": {}}]})
        return {each for each in kinds if not self.knows(each)} | (
            set() if has_azure else {"azuread"}
        )

    def complaint(self, configuration: Any) -> str:
        """Load a configuration and return Prometheus' error."""
        self.config_file.write_text(json.dumps(configuration))
        return self._session.post(f"{self.url}/-/reload", timeout=30).text


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Run one Prometheus for all cases."""
    with started(Oracle(tmp_path_factory.mktemp("oracle"))) as part:
        yield part


def one_file(follower: str, leader: str = "") -> str:
    """Return both sections in one file, each indented as a person would do."""
    parts = [("follower", follower), ("leader", leader)]
    return "".join(f"{name}:\n{indented(text)}" for name, text in parts if text)


def indented(text: str) -> str:
    """Return a text indented by two columns; empty lines stay empty."""
    return "".join(
        f"  {line}" if line.strip("\r\n") else line for line in text.splitlines(keepends=True)
    )


def both(content: str | bytes, folder: str = "") -> Renderings:
    """Render the form with both parts in one file."""
    data = content.encode() if isinstance(content, str) else content
    return render(Source("x.yml", data, folder)).renderings


def whole(base: str, override: str, folder: str = "") -> Renderings:
    """Render the form with a whole Prometheus file and a separate leader's part."""
    sources = Source("p.yml", base.encode(), folder), [Source("l.yml", override.encode(), folder)]
    return WholeFile().render(*sources).renderings


def read(oracle: Oracle, rendered: Renderings) -> tuple[str, str]:
    """Return what Prometheus shows for the follower's and for the leader's rendering."""
    return oracle.shows(rendered.follower.content), oracle.shows(rendered.leader.content)


def vector(name: str, oracle: Oracle) -> str:
    """Return a stored configuration, without what this build of Prometheus lacks."""
    text = (VECTORS / name).read_text("utf-8")
    for key in OPTIONAL:
        if not oracle.knows(key):
            text = without(text, key)
    return text


def without(text: str, key: str) -> str:
    """Remove all entries with a key, in block style, including their values."""
    kept, end = [], None
    for line in text.splitlines(keepends=True):
        column = len(line) - len(line.lstrip(" "))
        is_inside = end is not None and (column > end or line.startswith("- ", end))
        end = end if is_inside else None
        if line.lstrip().startswith(f"{key}:"):
            end = column
        elif not is_inside:
            kept.append(line)
    return "".join(kept)


# --- golden cases ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "case", [case for case in GOLDEN if "leader_error" not in case], ids=lambda case: case["name"]
)
def test_golden_case(oracle: Oracle, case: dict[str, Any], role: Role) -> None:
    """Prometheus reads a rendering as the golden case's structure, or refuses both."""
    by_hand = json.dumps(case[role]).replace('"true":', '"y":')  # a key whose type the peer changes
    assert oracle.shows(both(case["input"]).of(role).content) == oracle.shows(by_hand)


def test_enough_golden_cases_are_accepted(oracle: Oracle) -> None:
    """At least 18 golden cases are accepted, so that accepted configurations are compared."""
    accepted = [
        case
        for case in GOLDEN
        if "follower" in case and oracle.shows(json.dumps(case["follower"])) != REFUSED
    ]
    assert len(accepted) >= 18


# --- whole configurations -------------------------------------------------------------------------


OVERRIDES = """\
global:
  external_labels: {monitor: 1.20, extra: n}
rule_files: [leader.rules]
remote_write:
- url: http://leader/push
tracing: {timeout: 7s}
"""


def by_hand(text: str) -> str:
    """Write the overrides into the documented configuration, as a person would."""
    for old, new in (
        ("    monitor: 'codelab-monitor'\n", "    monitor: 1.20\n    extra: n\n"),
        ("  - /absolute/*.yml\n", "  - /absolute/*.yml\n  - leader.rules\n"),
        ("\nremote_read:\n", "\n  - url: http://leader/push\n\nremote_read:\n"),
        ("  timeout: 5s\n  compression", "  timeout: 7s\n  compression"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_the_documented_configuration(oracle: Oracle) -> None:
    """Both forms of the documented configuration mean what the file written by hand means.

    This holds for both roles, and for an output in the input's folder or in another one.
    """
    text, folder = vector("prometheus.yml", oracle), str(oracle.config_file.parent)
    follower, leader = oracle.shows(text), oracle.shows(by_hand(text))
    assert 'version: "1.10"' in follower
    assert f"- {folder}/leader.rules" in leader
    for there in ("", folder):
        for rendered in (both(one_file(text, OVERRIDES), there), whole(text, OVERRIDES, there)):
            assert oracle.shows(rendered.follower.content) == follower
            assert oracle.shows(rendered.leader.content) == leader


def test_the_documented_configuration_has_no_relative_path(oracle: Oracle) -> None:
    """All paths that Prometheus resolves are absolute, so the output's folder is irrelevant."""
    text = vector("prometheus.yml", oracle)
    rendered = whole(text, OVERRIDES, "/input").leader.content
    shown = oracle.shows(rendered)
    assert str(oracle.config_file.parent) not in shown
    assert "/input/secrets/oauth" in shown
    assert "/input/foo/*.slow.json" in shown
    assert "x_file: not/a/path" in shown


def test_the_operator_s_configuration(oracle: Oracle, tmp_path: Path) -> None:
    """The Operator's configuration, gzipped and with variables, is rendered into another folder.

    Two files of the leader's part add to it and delete from it.
    """
    text = vector("operator.yml", oracle)
    (tmp_path / "in").mkdir()
    packed = tmp_path / "in" / "prometheus.yaml.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    (tmp_path / "leader").mkdir()
    (tmp_path / "leader" / "10.yaml").write_text("remote_write: [{url: http://$(POD_NAME)/}]\n")
    (tmp_path / "leader" / "20.yml").write_text(
        "scrape_configs: [{job_name: podMonitor/default/app/0, $patch: delete}]\n"
    )
    environ = {b"POD_NAME": b"prometheus-k8s-0", b"SHARD": b"0"}
    sources = Sources(packed, (tmp_path / "leader",), tmp_path / "out", environ)
    rendered = Inputs(sources).read()
    replaced = text.replace("$(POD_NAME)", "prometheus-k8s-0").replace("$(SHARD)", "0")
    head, job, rest = re.split("(?ms)^(- job_name: podMonitor.*?)(?=^alerting:)", replaced)
    assert job
    leader = f"{head}{rest}remote_write:\n- url: http://prometheus-k8s-0/\n"
    assert oracle.shows(rendered.follower.content) == oracle.shows(replaced)
    assert oracle.shows(rendered.leader.content) == oracle.shows(leader)


# --- merge keys and anchors -----------------------------------------------------------------------


TLS = "alerting:\n  alertmanagers:\n  - tls_config: &t {ca_file: /a, server_name: s}\n"


@pytest.mark.parametrize(
    ("follower", "leader", "expected"),
    [
        ("{<<: *t}", "{server_name: l}", "{ca_file: /a, server_name: l}"),
        ("{<<: *t, server_name: f}", "{ca_file: /l}", "{ca_file: /l, server_name: f}"),
        (
            "{server_name: f, <<: *t}",
            "{ca_file: /l}",
            "{server_name: f, <<: {server_name: s}, ca_file: /l}",
        ),
        (
            "{<<: [*t, {server_name: u, min_version: TLS12}]}",
            "{}",
            "{<<: [*t, {server_name: u, min_version: TLS12}]}",
        ),
        (
            "{<<: [{server_name: u}, *t]}",
            "{ca_file: /l}",
            "{<<: [{server_name: u}, *t], ca_file: /l}",
        ),
        ("*t", "{server_name: l}", "{ca_file: /a, server_name: l}"),
        ("{}", "{<<: {server_name: l}, ca_file: /l}", "{server_name: l, ca_file: /l}"),
    ],
)
def test_merge_keys_overridden(oracle: Oracle, follower: str, leader: str, expected: str) -> None:
    """The leader's value overrides what a merge key adds, in Prometheus' own order."""
    base = f"{TLS}tracing:\n  endpoint: e:1\n  tls_config: {follower}\n"
    override = f"tracing:\n  tls_config: {leader}\n"
    manual = oracle.shows(f"{TLS}tracing:\n  endpoint: e:1\n  tls_config: {expected}\n")
    assert manual != REFUSED
    for rendered in (both(one_file(base, override)), whole(base, override)):
        assert oracle.shows(rendered.follower.content) == oracle.shows(base)
        assert oracle.shows(rendered.leader.content) == manual


def test_anchors_in_the_leaders_part(oracle: Oracle) -> None:
    """Entries that share an anchor each get their own, which may have the same name."""
    base = "tracing: {endpoint: e:1}\nscrape_configs:\n- job_name: a\n"
    tls = "&t {ca_file: /a, server_name: s}"
    override = (
        f"tracing: {{tls_config: {tls}}}\nalerting:\n  alertmanagers:\n"
        "  - tls_config: &u {<<: *t, server_name: v}\n  - tls_config: *t\n  - tls_config: *u\n"
        "scrape_configs:\n- {job_name: b, tls_config: *t}\n- {job_name: c, tls_config: *t}\n"
    )
    manual = oracle.shows(
        override.replace("{tls_config", "{endpoint: e:1, tls_config").replace(
            "scrape_configs:\n", "scrape_configs:\n- job_name: a\n"
        )
    )
    assert manual != REFUSED
    assert oracle.shows(whole(base, override).leader.content) == manual


def test_too_many_aliases_are_refused_like_by_prometheus(oracle: Oracle) -> None:
    """A list that jobs share is accepted; aliases that expand too far are refused by both."""
    rules = "".join(f"  - {{target_label: t{at}, replacement: r}}\n" for at in range(60))
    first = f"scrape_configs:\n- job_name: j\n  relabel_configs: &shared\n{rules}"

    def sharing(jobs: int) -> str:
        return first + "".join(
            f"- {{job_name: j{at}, relabel_configs: *shared}}\n" for at in range(jobs)
        )

    assert oracle.shows(sharing(200)) != REFUSED
    assert oracle.shows(both(one_file(sharing(200))).follower.content) == oracle.shows(sharing(200))
    assert oracle.shows(sharing(4000)) == REFUSED
    with pytest.raises(ConfigurationError, match=r"aliases expand to .* values, which"):
        both(one_file(sharing(4000)))


# --- generated ------------------------------------------------------------------------------------


PLAIN = (
    *("1.10", "010", "0o17", "0x1F", "1:30", "1:30.5", "190:20:30", "2024-01-01", "1e3", "1_000"),
    *("2001-12-14t21:59:43.10-05:00", "n", "y", "yes", "off", "True", "~", "null", "", "=", "<<"),
    *(".inf", ".nan", "-1", "+.5", "0b1", "0.", "$1", "${1}x", "$$", "a$", "a:b", "a#b", "a'b\"c"),
    *("é😀", "ünï cöde", "a\u00a0b", "x" * 5000, "word " * 1000 + "end", "http://a/?b=c&d=e*"),
    *("(.+)\\d+", "C:\\x", "a%", "a@b", "a  b", "a,b", "a{b}", "a[b]", "-a", "?a", ":a"),
)
FLOW = [text or "''" for text in PLAIN if not re.search(r"[\[\]{},]", text)]
# Prometheus reads a plain null as the name "", and refuses the whole configuration.
names = st.sampled_from(["a", "b", "n", "y", "no", "true", "'null'", "_1", "x_file", "on", "e1"])
texts = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"])
    | st.sampled_from("\t\x85é😀"),
    max_size=20,
)


@st.composite
def scalars(draw: st.DrawFn) -> str:
    """Draw the source text of a scalar at column 4, in each style of YAML."""
    style = draw(
        st.sampled_from(["plain", "plain", "single", "double", "literal", "folded", "lines"])
    )
    if style == "plain":
        return draw(st.sampled_from(PLAIN))
    if style == "single":
        return "'" + draw(texts).replace("'", "''") + "'"
    if style == "double":
        text = draw(texts)
        is_escaped = draw(st.booleans()) and all(ord(letter) < 0x10000 for letter in text)
        return json.dumps(text, ensure_ascii=is_escaped)
    if style == "lines":
        quote = draw(st.sampled_from(["'", '"', ""]))
        words = draw(
            st.lists(st.sampled_from(["a", "b: c"[:1], "1.10", "yes"]), min_size=1, max_size=4)
        )
        gap = draw(st.sampled_from(["\n      ", "\n\n      ", " "]))
        return quote + gap.join(words) + quote
    head = ("|" if style == "literal" else ">") + draw(st.sampled_from(["", "-", "+"]))
    lines = draw(
        st.lists(st.sampled_from(["a", "  b", "", "1: 2", "# c", "- d", "é", "x" * 90]), max_size=5)
    )
    return head + "2\n" + "".join(f"      {line}\n" if line else "\n" for line in lines)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Draw a follower's configuration, as text."""
    labels = draw(st.dictionaries(names, scalars(), max_size=5))
    lines = ["global:\n", f"  scrape_interval: {draw(st.sampled_from(['7s', '1m30s', '2m']))}\n"]
    if labels:
        lines += [
            "  external_labels:\n",
            *(entry(f"    {name}:", text) for name, text in labels.items()),
        ]
    replacements = draw(st.lists(scalars(), max_size=3))
    flow = draw(st.lists(st.sampled_from(FLOW), max_size=3))
    lines += ["scrape_configs:\n- job_name: j\n"]
    if flow:
        lines += ["  params: {p: [", ", ".join(flow), "], q: [1:30]}\n"]
    if replacements:
        lines += ["  relabel_configs:\n"]
        lines += [entry("  - target_label: t\n    replacement:", text) for text in replacements]
    return "".join(lines)


def entry(key: str, text: str) -> str:
    """Return a key and its value, on a line of their own."""
    return f"{key} {text}" if text.endswith("\n") else f"{key} {text}\n"


disguises = st.sampled_from(
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text + "---\nb: [1\n",
        lambda text: "# head\n---\n" + text + "...\n# tail\n",
    ]
)
EFFORT = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


@EFFORT
@given(configuration=configurations(), disguise=disguises)
def test_generated_configurations(oracle: Oracle, configuration: str, disguise: Any) -> None:
    """Scalars of any content and style mean the same when rendered."""
    override = "remote_read:\n- url: http://r/\n"
    expected = oracle.shows(disguise(configuration)), oracle.shows(configuration + override)
    assume(REFUSED not in expected)
    together = disguise(one_file(configuration, override))
    assert read(oracle, both(together)) == expected
    assert read(oracle, whole(disguise(configuration), override)) == expected


@EFFORT
@given(configuration=configurations(), name=names, text=scalars())
def test_generated_overrides(oracle: Oracle, configuration: str, name: str, text: str) -> None:
    """A label that the leader sets means the same as if it were written into the file."""
    override = entry(f"global:\n  external_labels:\n    {name}:", text)
    manual = oracle.shows(with_label(configuration, name, entry(f"    {name}:", text)))
    assume(manual != REFUSED)
    assert read(oracle, both(one_file(configuration, override)))[1] == manual
    assert read(oracle, whole(configuration, override))[1] == manual


def with_label(configuration: str, name: str, line: str) -> str:
    """Write a label into a configuration; replace one with the same name."""
    head, rest = configuration.split("scrape_configs:\n")
    if "external_labels:\n" not in head:
        head += "  external_labels:\n"
    head = re.sub(rf"(?ms)^    {name}:.*?(?=^    \S|\Z)", "", head)
    return f"{head}{line}scrape_configs:\n{rest}"


def test_generated_configurations_are_mostly_accepted(oracle: Oracle) -> None:
    """Most generated configurations are accepted, so that accepted ones are compared.

    The counted examples are always the same: examples are similar in groups, so the share in a few
    random ones would vary a lot.
    """
    shown = []

    @settings(EFFORT, max_examples=100, database=None, derandomize=True)
    @given(configurations())
    def count(configuration: str) -> None:
        shown.append(oracle.shows(configuration) != REFUSED)

    count()
    assert sum(shown) > len(shown) / 2


# --- the table of paths ---------------------------------------------------------------------------


SHOWN_AS_WRITTEN = "aws_sd_configs"  # resolves paths in a copy only


def test_the_table_of_paths_agrees_with_prometheus(oracle: Oracle) -> None:
    """Prometheus resolves paths in exactly the places that our table has, and as we do."""
    words, folder = schema().since(version()), oracle.config_file.parent
    pem, lacking = with_a_key(folder / "x.json"), oracle.lacks(words)
    wrong, resolved = [], set()
    for trail in trails(PLACES):
        place = "/".join(trail)
        if not is_asked(place, {*lacking, SHOWN_AS_WRITTEN}):
            continue
        raw = yaml.safe_dump(completed(place, "rel/../x.json", pem), sort_keys=False)
        shown = oracle.shows(raw)
        word = UNKNOWN if shown == REFUSED else "text" if "rel/../x.json" in shown else "path"
        is_ours = word != "path" or oracle.shows(rendered(raw, folder)) == shown
        resolved |= {place} if word == "path" else set()
        if word not in words[place] or not is_ours:
            wrong.append((place, word, is_ours, oracle.complaint(yaml.safe_load(raw))))
    assert wrong == []
    assert {"rule_files/[]", "remote_write/[]/tls_config/cert_file"} <= resolved


def rendered(raw: str, folder: Path) -> bytes:
    """Return the rendering of a follower's configuration in this folder."""
    return whole(raw, "", str(folder)).follower.content


def with_a_key(path: Path) -> str:
    """Create a file with a certificate and its key, and return its path."""
    pair = Authority(path.parent / "authority").issue("client")
    path.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    return str(path)
