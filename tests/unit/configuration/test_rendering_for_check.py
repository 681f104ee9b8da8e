"""The rendering for a Prometheus that is started only as a check: it contacts no server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.render import WholeFile
from wrapper.configuration.rendering_for_check import rendering_for_check
from wrapper.documents.source import Source

ADDRESS = "127.0.0.1:9"


def harmless_of(text: str) -> dict[str, object]:
    """Return a harmless configuration as values."""
    return dict(yaml.safe_load(rendering_for_check(text.encode(), ADDRESS)))


@pytest.mark.parametrize(
    "text",
    ["# a comment\nglobal: {}\n", "remote_write: []\n", "remote_write: nonsense\n", "- a\n", ""],
)
def test_configuration_that_sends_nothing_is_unchanged(text: str) -> None:
    """A configuration that sends nothing is unchanged, so that the lines of messages are right."""
    assert rendering_for_check(text.encode(), ADDRESS) == text.encode()


def test_distinct_urls_stay_distinct_and_equal_ones_equal() -> None:
    """Replaced URLs are equal if they were, with their user names: Prometheus compares them."""
    urls = ["http://a/1", "https://a/1", "http://a/2", "http://a/1", "http://u:p@a/1"]
    written = harmless_of(yaml.safe_dump({"remote_write": [{"url": url} for url in urls]}))
    assert written["remote_write"] == [
        {"url": "http://127.0.0.1:9/0"},
        {"url": "https://127.0.0.1:9/1"},
        {"url": "http://127.0.0.1:9/2"},
        {"url": "http://127.0.0.1:9/0"},
        {"url": "http://u:p@127.0.0.1:9/0"},
    ]


@pytest.mark.parametrize(
    "url",
    [
        *("", "a", "ftp://a/", "http://", "http://[::1/", "unix:///x", "http://a:b/", " http://a/"),
        *("http://u:p/w@a/", "http://[::1]:x/", "http://a/%zz?%41", "http://a/\tb", "http://a b/"),
    ],
)
def test_invalid_url_is_left_to_prometheus(url: str) -> None:
    """An invalid URL is unchanged, so that Prometheus refuses it."""
    assert harmless_of(yaml.safe_dump({"remote_write": [{"url": url}]}))["remote_write"] == [
        {"url": url}
    ]


def test_url_of_the_gate_is_replaced() -> None:
    """The gate's URL is replaced, because a running gate would send samples on."""
    gate = GateSettings("http://127.0.0.1:9096", "/out")
    override = Source("l.yml", b"remote_write: [{url: 'http://u:p@r/'}]")
    rendered = WholeFile(gate).render(Source("p.yml", b"{}"), [override])
    content = rendering_for_check(rendered.renderings.leader.content, ADDRESS)
    assert yaml.safe_load(content)["remote_write"][0]["url"] == "http://127.0.0.1:9/0"
    assert b"9096" not in content
    assert b"u:p" not in content


def test_proxies_and_aliases_are_replaced() -> None:
    """URLs of proxies and behind aliases are replaced as well."""
    text = "remote_write:\n- &a {url: http://r/, proxy_url: http://p/}\n- {<<: *a, name: b}\n"
    one = {"url": "http://127.0.0.1:9/0", "proxy_url": "http://127.0.0.1:9/1"}
    assert harmless_of(text)["remote_write"] == [one, {**one, "name": "b"}]


def test_token_urls_are_replaced() -> None:
    """The URLs for OAuth 2.0 tokens and their proxies are replaced."""
    oauth2 = {"token_url": "http://t/", "proxy_url": "http://p/", "client_id": "a"}
    text = yaml.safe_dump({"remote_write": [{"url": "http://r/", "oauth2": oauth2}]})
    written: Any = harmless_of(text)["remote_write"]
    entry = written[0]
    assert entry["oauth2"]["token_url"].startswith("http://127.0.0.1:9/")
    assert entry["oauth2"]["proxy_url"].startswith("http://127.0.0.1:9/")


@pytest.mark.parametrize(
    "own", ["", "relabel_configs: [{action: keep, regex: a}], ", "relabel_configs: , "]
)
def test_alertmanagers_are_dropped(own: str) -> None:
    """A last relabeling rule drops all Alertmanagers, however they are discovered."""
    text = f"alerting: {{alertmanagers: [{{{own}dns_sd_configs: [{{names: [a]}}]}}]}}\n"
    alerting = harmless_of(text)["alerting"]
    assert isinstance(alerting, dict)
    [manager] = alerting["alertmanagers"]
    assert manager["relabel_configs"][-1] == {"action": "drop", "regex": ".*"}
    assert len(manager["relabel_configs"]) == (2 if "keep" in own else 1)
