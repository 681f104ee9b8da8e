"""The proxy for a URL, by the rules of Go's net/http."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from wrapper.access.proxy_environment import BadProxy, HttpProxy, proxy_for

AT = "http://proxy.test:3128"
API = "https://api.test:6443/x"


def way(url: str, **environ: str) -> str | None:
    """Return the variable that names the proxy for a URL, None without a proxy."""
    proxy = proxy_for(urlsplit(url), environ=environ)
    return None if proxy is None else proxy.named_by


@pytest.mark.parametrize(
    ("url", "environ", "named_by"),
    [
        (API, {}, None),
        (API, {"HTTPS_PROXY": AT}, "HTTPS_PROXY"),
        (API, {"https_proxy": AT}, "https_proxy"),
        (API, {"https_proxy": AT, "HTTPS_PROXY": AT}, "HTTPS_PROXY"),
        (API, {"https_proxy": AT, "HTTPS_PROXY": ""}, "https_proxy"),
        (API, {"HTTP_PROXY": AT, "ALL_PROXY": AT}, None),
        ("http://api.test/", {"HTTP_PROXY": AT}, "HTTP_PROXY"),
        ("http://api.test/", {"HTTPS_PROXY": AT}, None),
    ],
)
def test_variable_depends_on_the_scheme(
    url: str, environ: dict[str, str], named_by: str | None
) -> None:
    """An upper-case variable precedes a lower-case one, and an empty one does not count."""
    assert way(url, **environ) == named_by


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.8.7", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_loopback_never_uses_a_proxy(host: str) -> None:
    """Loopback addresses use no proxy, with any port and any NO_PROXY."""
    for url in (f"https://{host}/", f"https://{host}:6443/x"):
        assert way(url, HTTPS_PROXY=AT, NO_PROXY="elsewhere") is None


@pytest.mark.parametrize("host", ["localhost.test", "128.0.0.1", "[::2]", "mylocalhost"])
def test_names_similar_to_loopback_use_a_proxy(host: str) -> None:
    """Names and addresses that only resemble loopback use the proxy."""
    assert way(f"https://{host}/", HTTPS_PROXY=AT) == "HTTPS_PROXY"


@pytest.mark.parametrize(
    ("excepted", "host", "is_direct"),
    [
        ("*", "api.test", True),
        ("api.test", "api.test", True),
        ("API.Test", "api.test", True),
        ("a.test, api.test ,b.test", "api.test", True),
        ("test", "api.test", True),
        ("api.test", "b.api.test", True),
        ("api.test", "myapi.test", False),
        (".api.test", "b.api.test", True),
        (".api.test", "api.test", False),
        ("*.api.test", "b.api.test", True),
        ("*.api.test", "api.test", False),
        ("api.test:6443", "api.test", True),
        ("api.test:443", "api.test", False),
        (".test:6443", "api.test", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.7/8", "10.1.2.3", True),
        ("10.0.0.0/33", "10.1.2.3", False),
        ("10.0.0.0/8", "api.test", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:6443", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", False),
        ("fd00::/8", "[fd00::7]", True),
        ("fd00::7", "[fd00:0::7]", True),
        ("[fd00::7]:6443", "[fd00::7]", True),
        ("[fd00::7]:443", "[fd00::7]", False),
        ("", "api.test", False),
        (",", "api.test", False),
    ],
)
def test_hosts_of_no_proxy_are_contacted_directly(
    excepted: str, host: str, *, is_direct: bool
) -> None:
    """NO_PROXY has hosts, domains, addresses and networks, each with or without a port."""
    url = f"https://{host}:6443/"
    for variable in ("NO_PROXY", "no_proxy"):
        found = way(url, HTTPS_PROXY=AT, **{variable: excepted})
        assert (found is None) is is_direct


@pytest.mark.parametrize(
    ("text", "shown", "port"),
    [
        ("http://proxy.test:3128", "the proxy http://proxy.test:3128 of HTTPS_PROXY", 3128),
        ("proxy.test:3128", "the proxy http://proxy.test:3128 of HTTPS_PROXY", 3128),
        ("http://proxy.test", "the proxy http://proxy.test of HTTPS_PROXY", 80),
        ("http://me:secret@proxy.test:1", "the proxy http://proxy.test:1 of HTTPS_PROXY", 1),
    ],
)
def test_proxy_is_shown_without_its_password(text: str, shown: str, port: int) -> None:
    """A proxy is shown by its address and its variable; its scheme is optional."""
    proxy = proxy_for(urlsplit(API), environ={"HTTPS_PROXY": text})
    assert proxy is not None
    assert (str(proxy), proxy.port) == (shown, port)


def test_credentials_of_the_proxy_are_sent_to_it() -> None:
    """Name and password are sent as basic authentication, with % escapes decoded."""
    proxy = HttpProxy.read("http://a:b%40@proxy.test", "x", ("http",))
    assert proxy.fields == {"Proxy-Authorization": "Basic YTpiQA=="}
    assert HttpProxy.read(AT, "x", ("http",)).fields == {}


@pytest.mark.parametrize(
    "text", ["socks5://secret:1080", "https://secret", "http://[secret", "http://", "secret:99999"]
)
def test_unusable_proxy_is_refused(text: str) -> None:
    """The error names the variable and the right form, but shows nothing of the value."""
    with pytest.raises(BadProxy, match=r"HTTPS_PROXY .*: write http://HOST:PORT") as caught:
        proxy_for(urlsplit(API), environ={"HTTPS_PROXY": text})
    assert "secret" not in str(caught.value)
