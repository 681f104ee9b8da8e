"""URLs as written by people, and as sent."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.base.url_encoding import to_uri


@pytest.mark.parametrize(
    "url",
    [
        "http://promgen/api/v1/targets",
        "https://me:p%2Fw@h:8443/a/%E6%B1%BA/;b=c,d/?x=1&y[]=2&z=a=b#f",
        "http://[::1]:9090/x",
        "http://[fe80::1%eth0]:1/",
        "http://a_b.c-d:1",
        "http://xn--1tw26a.example/",
    ],
)
def test_valid_uri_is_unchanged(url: str) -> None:
    """A valid URI is unchanged, and nothing is encoded twice."""
    assert to_uri(url) == url


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (
            "http://promgen/rest/service/決済/targets/",
            "http://promgen/rest/service/%E6%B1%BA%E6%B8%88/targets/",
        ),
        ("http://h/a b/%E6%B1%BA?q=日 本", "http://h/a%20b/%E6%B1%BA?q=%E6%97%A5%20%E6%9C%AC"),
        ('http://h/?match={a="b"}|^', "http://h/?match=%7Ba=%22b%22%7D%7C%5E"),
        ("http://h/100%/%zz", "http://h/100%25/%25zz"),
        ("http://h/\udce6", "http://h/%E6"),
        ("http://決済.example:80/", "http://xn--1tw26a.example:80/"),
        ("http://ü:p%wört@h/", "http://%C3%BC:p%25w%C3%B6rt@h/"),
    ],
)
def test_invalid_characters_are_encoded(url: str, sent: str) -> None:
    """Path and query are encoded as UTF-8, the host by IDNA; bytes that are no text stay."""
    assert to_uri(url) == sent


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", ""),
        ("p", ""),
        ("ftp://h/", ""),
        ("http://", ""),
        ("http://h:0/", ""),
        ("http://h:99999/", ""),
        ("http://[::1/", ""),
        ("http://h\N{FULLWIDTH SOLIDUS}secret/", ""),
        (" http://h/", "a space around it"),
        ("http://h/a\nb", "a line break"),
        ("http://h/a\tb", "a line break"),
        ("http://a b/", "a space or a percent sign"),
        ("http://h%41/", "a space or a percent sign"),
        ("http://straße.de/", "xn--"),
        ("http://" + "ü" * 70 + ".de/", "DNS"),
        ("http://a..ü/", "DNS"),
    ],
)
def test_url_that_cannot_be_encoded_is_refused(url: str, said: str) -> None:
    """The message gives the reason, but shows nothing of the URL."""
    with pytest.raises(ValueError, match="not an HTTP URL") as caught:
        to_uri(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="#?%/"))


@given(PARTS, PARTS)
def test_server_decodes_what_was_written(path: str, query: str) -> None:
    """The sent URL is ASCII, decodes to what was written, and does not change again."""
    url = f"http://h/{path}?q{query}&z"
    sent = to_uri(url)
    assert sent.isascii()
    assert " " not in sent
    assert unquote(urlsplit(sent).path) == f"/{path}"
    assert unquote(urlsplit(sent).query) == f"q{query}&z"
    assert to_uri(sent) == sent
