"""Error texts for redirects and bad statuses, with the most likely cause and the cure; pure."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 400, 401, 403
_CREDENTIALS = "set the credentials in --targets-http-config"
_LOGIN = f"if that is a login page, {_CREDENTIALS}"


def redirect_refused(url: str, location: str) -> str:
    """Return the text for a redirect: Django's only adds a slash, others may lead to a login."""
    try:
        asked, to = urlsplit(url), urlsplit(urljoin(url, location))
    except ValueError:
        return "a redirect to an invalid URL: check that the feed's URL names the right server"
    shown = f"{to.scheme}://{to.netloc.rpartition('@')[2]}{to.path}"
    if to.hostname == asked.hostname and to.path == f"{asked.path}/":
        return f"a redirect, which is not followed: end the URL with a slash, as in {shown}"
    return f"a redirect to {shown}, which is not followed: use that URL instead; {_LOGIN}"


def status_refused(url: str, status: int, phrase: str) -> str:
    """Return the text for a status, with its most likely cause for a GET without a body."""
    said = f"HTTP {status} {phrase}".rstrip()
    if status == _BAD_REQUEST:
        return f"{said}: if this is Promgen, add {urlsplit(url).hostname} to its ALLOWED_HOSTS"
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return f"{said}: {_CREDENTIALS}"
    return said
