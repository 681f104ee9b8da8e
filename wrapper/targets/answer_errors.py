"""What is said of an answer that is not the one asked for: the cause and the cure; pure."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 400, 401, 403
_CREDENTIALS = "--targets-http-config has the credentials"
_LOGIN = f"where it is a page to log in, {_CREDENTIALS}"


def redirect_refused(url: str, location: str) -> str:
    """Say where an answer sends: Django to the same path with a slash, others to log in."""
    try:
        asked, to = urlsplit(url), urlsplit(urljoin(url, location))
    except ValueError:
        return "a redirect to what is no URL: does it come from the server that is meant?"
    shown = f"{to.scheme}://{to.netloc.rpartition('@')[2]}{to.path}"
    if to.hostname == asked.hostname and to.path == f"{asked.path}/":
        return f"a redirect, which is not followed: end the URL with a slash, as in {shown}"
    return f"a redirect to {shown}, which is not followed: name that URL itself; {_LOGIN}"


def status_refused(url: str, status: int, phrase: str) -> str:
    """Say which status came, and what it most likely means for a GET without a body."""
    said = f"HTTP {status} {phrase}".rstrip()
    if status == _BAD_REQUEST:
        return f"{said}: Promgen answers so where ALLOWED_HOSTS is without {urlsplit(url).hostname}"
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return f"{said}: {_CREDENTIALS}"
    return said
