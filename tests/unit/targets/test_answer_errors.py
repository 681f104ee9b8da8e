"""Messages for answers other than those expected, each with its remedy."""

from __future__ import annotations

import pytest

from wrapper.targets.answer_errors import redirect_refused, status_refused

URL = "http://promgen:8000/rest/service/shop/targets"


@pytest.mark.parametrize(
    "location",
    ["/rest/service/shop/targets/", "http://promgen:8000/rest/service/shop/targets/", "targets/"],
)
def test_redirect_to_the_path_with_a_slash(location: str) -> None:
    """For Django's redirect to the path with a slash, the message has the whole URL to write."""
    assert redirect_refused(URL, location) == (
        "a redirect, which is not followed: end the URL with a slash, as in "
        "http://promgen:8000/rest/service/shop/targets/"
    )


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login/?next=/rest/", "http://promgen:8000/login/"),
        ("https://a:b@other/x?token=c#d", "https://other/x"),
        ("http://other/rest/service/shop/targets/", "http://other/rest/service/shop/targets/"),
        ("", URL),
    ],
)
def test_redirect_to_another_url(location: str, shown: str) -> None:
    """The message has both remedies, and no part of the location that may be secret."""
    said = redirect_refused(URL, location)
    assert said.startswith(f"a redirect to {shown}, which is not followed: use that URL instead;")
    assert said.endswith("set the credentials in --targets-http-config")


def test_redirect_to_an_invalid_url() -> None:
    """An invalid location is called an invalid URL, and causes no error."""
    assert "an invalid URL" in redirect_refused(URL, "http://[")


@pytest.mark.parametrize(
    ("status", "phrase", "said"),
    [
        (
            400,
            "Bad Request",
            "HTTP 400 Bad Request: if this is Promgen, add promgen to its ALLOWED_HOSTS",
        ),
        (
            401,
            "Unauthorized",
            "HTTP 401 Unauthorized: set the credentials in --targets-http-config",
        ),
        (403, "", "HTTP 403: set the credentials in --targets-http-config"),
        (404, "Not Found", "HTTP 404 Not Found"),
        (500, "", "HTTP 500"),
    ],
)
def test_status_has_its_remedy(status: int, phrase: str, said: str) -> None:
    """The message has the status with its phrase, and a remedy if there is one."""
    assert status_refused(URL, status, phrase) == said
