"""Secrets are hidden in Prometheus' places, under names of secrets, and in URLs; no others."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from yaml.nodes import MappingNode

from tests.unit.configuration.test_config_paths import nested, trails
from tests.unit.given_documents import compose, sections, shape, written
from wrapper.configuration.config_paths import PLACES as PATHS
from wrapper.configuration.merge import merge
from wrapper.configuration.redact import PLACES, Redaction
from wrapper.documents.problems import Problems

MARKER = "hunter2-marker"


def section(content: str) -> MappingNode:
    """Return a configuration's root."""
    root = compose(content)
    assert isinstance(root, MappingNode)
    return root


def text_of(node: MappingNode) -> str:
    """Return a configuration as text."""
    return str(yaml.serialize(node, Dumper=yaml.CSafeDumper, allow_unicode=True))


def redacted(content: str, redaction: Redaction | None = None) -> Any:
    """Return a configuration without its secrets, as values; the original must be unchanged."""
    root = section(content)
    before = shape(root)
    text = text_of((redaction or Redaction()).section(root))
    assert shape(root) == before
    return yaml.safe_load(text)


# --- places ---------------------------------------------------------------------------------------


def test_secret_is_hidden_at_each_place_of_the_table() -> None:
    """At each place of the table a secret is hidden; an empty one is not."""
    for trail in trails(PLACES):
        assert redacted(yaml.safe_dump(nested(trail, MARKER))) == nested(trail, "<secret 1>")
        assert redacted(yaml.safe_dump(nested(trail, ""))) == nested(trail, "")


def test_names_of_files_are_not_hidden() -> None:
    """The name of a password's file is shown, because it is needed to find mistakes."""
    for trail in trails(PATHS):
        content = nested(trail, "/etc/x")
        assert redacted(yaml.safe_dump(content)) == content


@pytest.mark.parametrize(
    "content",
    [
        f"a: {{password: {MARKER}}}",
        f"scrape_configs: [{{x_sd_configs: [{{api-key: {MARKER}, x: {{authToken: {MARKER}}}}}]}}]",
        f"remote_write: [{{future: {{access_keys: [{MARKER}]}}}}]",
        f"scrape_configs: [{{params: {{token: [{MARKER}], key: [{MARKER}]}}}}]",
        f"scrape_configs: {{basic_auth: {{password: {MARKER}}}}}",
        f"scrape_configs: [{{basic_auth: {MARKER}, authorization: [{MARKER}]}}]",
        f"remote_write: [{{headers: {MARKER}, bearer_token: [[{MARKER}], {{a: {MARKER}}}]}}]",
        f"remote_write: [{{http_headers: {{X-Key: {{secrets: {MARKER}, values: {MARKER}}}}}}}]",
        f"x: &x {{headers: {{a: {MARKER}}}}}\nremote_write: [{{<<: *x}}, {{<<: [*x, {{url: a}}]}}]",
        f"scrape_configs: [{{x_sd_configs: [{{tls_config: {{key: {MARKER}}}}}]}}]",
        f"x: &x {MARKER}\nremote_write: [{{sigv4: {{secret_key: *x}}}}]\n",
        f"remote_write:\n- bearer_token: |\n    {MARKER}\n    {MARKER} second\n",
    ],
)
def test_doubtful_values_are_hidden(content: str) -> None:
    """A value with a secret's name, or of another shape in a secret's place, is hidden."""
    shown = redacted(content)
    shown.pop("x", None)
    assert MARKER not in str(shown)
    assert "<secret 1>" in str(shown)


@pytest.mark.parametrize(
    "content",
    [
        "global: {external_labels: {replica: a, key: b, passwords_file: c}, scrape_interval: 15s}",
        "scrape_configs: [{job_name: token, params: {module: [http_2xx], 'match[]': [a]}}]",
        "scrape_configs: [{relabel_configs: [{source_labels: [token], target_label: secret}]}]",
        "remote_write: [{url: 'http://a/b?x=1', name: a, oauth2: {token_url: 'http://a/token'}}]",
        "scrape_configs: [{basic_auth: {username: a, password: ''}, bearer_token: }]",
        "scrape_configs: [{authorization: {type: Bearer, credentials_file: a}}]",
        "scrape_configs: [{tls_config: {ca: a, cert: b, server_name: c}}]",
        "a: me@example.org\nb: 'http://h/@x'\n",
    ],
)
def test_other_values_are_shown(content: str) -> None:
    """Labels, parameters, URLs and files are shown unchanged."""
    assert redacted(content) == yaml.safe_load(content)


# --- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://u:pw@h/x", "http://<secret 1>@h/x"),
        ("https://token@h:1/x?a=1#b", "https://<secret 1>@h:1/x?a=1#b"),
        ("http://u:p@w@h/", "http://<secret 1>@h/"),
        ("http://h/?a=1&api_key=pw&b=2", "http://h/?a=1&api_key=<secret 1>&b=2"),
        ("http://h/?X-Amz-Signature=pw#x", "http://h/?X-Amz-Signature=<secret 1>#x"),
        ("h/?token=pw", "h/?token=<secret 1>"),
        ("h/?a?token=pw", "h/?a?token=<secret 1>"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://u:p/w?#@h/x", "http://<secret 1>@h/x"),
        ("http://u:pw/@h:80/x", "http://<secret 1>@h:80/x"),
        ("http://h:80/x@y", "http://h:80/x@y"),
        ("http://h:/x@y", "http://h:/x@y"),
        ("http://h:80?x@y", "http://h:80?x@y"),
        ("http://h/a:b@y", "http://h/a:b@y"),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
    ],
)
def test_secrets_in_urls_are_hidden(url: str, expected: str) -> None:
    """Credentials before a URL's @, and parameters with a secret's name, are hidden everywhere."""
    assert redacted(yaml.safe_dump({"a": [url]})) == {"a": [expected]}
    assert Redaction().text(f'parse "{url}": bad') == f'parse "{expected}": bad'


def test_password_that_go_takes_for_a_port_is_hidden() -> None:
    """Go takes a password before a slash for a port and quotes it in errors: it is hidden."""
    told = 'parse "http://u:p/w@h/": invalid port ":p" after host'
    assert Redaction().text(told) == 'parse "http://<secret 1>@h/": invalid port after host'


def test_equal_secrets_have_equal_numbers() -> None:
    """Equal secrets have equal numbers, to see which are equal and whether one has changed."""
    content = "a_token: one\nb_token: two\nc_token: one\nd: http://two@h\n"
    shown = ["<secret 1>", "<secret 2>", "<secret 1>", "http://<secret 2>@h"]
    assert list(redacted(content).values()) == shown


def test_second_redaction_changes_nothing() -> None:
    """The placeholder of a secret is not hidden again."""
    redaction = Redaction()
    once = redaction.section(section("a_token: one\nb_token: two\nu: http://three@h\n"))
    assert text_of(redaction.section(once)) == text_of(once)


def test_values_of_secret_variables_are_hidden() -> None:
    """Values of variables with a secret's name are hidden everywhere, except very short ones."""
    variables = {"DB_PASSWORD": MARKER, "POD_NAME": "prometheus-0", "TOKEN": "a"}
    shown = redacted(f"a: x{MARKER}y\nb: prometheus-0\n", Redaction(variables))
    assert shown == {"a": "x<secret 1>y", "b": "prometheus-0"}


def test_messages_show_no_secret() -> None:
    """Messages show neither a known secret, also escaped, nor a value that go-yaml quotes."""
    redaction = Redaction()
    redaction.section(section(f'a: {{password: "{MARKER}", token: "x\\ty\\"z", secret: abc}}'))
    said = redaction.text(f'bad "{MARKER}" and "x\\ty\\"z" but abc')
    assert said == 'bad "<secret 1>" and "<secret 2>" but abc'
    words = "line 3: cannot unmarshal !!str `hunter2...` into config.plain"
    assert Redaction().text(words) == "line 3: cannot unmarshal !!str into config.plain"


# --- graphs ---------------------------------------------------------------------------------------


@given(sections, sections)
def test_merging_and_redacting_commute(one: MappingNode, two: MappingNode) -> None:
    """Redacting before a merge gives the same result as redacting after it."""
    base, override = section(written(a=one)), section(written(a=two))
    redaction, problems = Redaction(), Problems()
    merged = merge(base, override, problems)
    if problems:
        return
    first = merge(redaction.section(base), redaction.section(override), Problems())
    assert shape(first) == shape(redaction.section(merged))


def test_nested_aliases_are_walked_once() -> None:
    """A few lines that would expand to a billion items are walked once."""
    lines = [f"x0: &x0 {{password: {MARKER}}}"]
    lines += [f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]" for i in range(1, 40)]
    assert MARKER not in text_of(Redaction().section(section("\n".join(lines))))


def test_deepest_nesting_is_redacted() -> None:
    """A secret is hidden at the deepest level to which inputs may nest."""
    content = "a: " + "[" * 198 + f"{{password: {MARKER}}}" + "]" * 198
    root = section(content)
    assert MARKER not in text_of(Redaction().section(root))
