"""Remote entries that Prometheus takes for duplicates are found before it refuses them."""

from __future__ import annotations

import pytest

from wrapper.configuration.render import WholeFile, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

URL = "url: 'http://r/w'"
TOKEN = "client_id: a, token_url: 'http://t/', client_secret: x"
# By name: two entries, and whether Prometheus takes them for duplicates. A test compares this table
# with the real Prometheus.
PAIRS: dict[str, tuple[str, str, bool]] = {
    "exactly the same": (URL, URL, True),
    "another order of keys": (f"{URL}, name: a", f"name: a, {URL}", True),
    "passwords": (
        f"{URL}, basic_auth: {{username: a, password: x}}",
        f"{URL}, basic_auth: {{username: a, password: y}}",
        True,
    ),
    "a password and none": (
        f"{URL}, basic_auth: {{username: a, password: x}}",
        f"{URL}, basic_auth: {{username: a}}",
        False,
    ),
    "user names": (
        f"{URL}, basic_auth: {{username: a, password: x}}",
        f"{URL}, basic_auth: {{username: b, password: x}}",
        False,
    ),
    "credentials": (
        f"{URL}, authorization: {{credentials: x}}",
        f"{URL}, authorization: {{credentials: y}}",
        True,
    ),
    "bearer tokens": (f"{URL}, bearer_token: x", f"{URL}, bearer_token: y", True),
    "client secrets": (
        f"{URL}, oauth2: {{client_id: a, token_url: 'http://t/', client_secret: x}}",
        f"{URL}, oauth2: {{client_id: a, token_url: 'http://t/', client_secret: y}}",
        True,
    ),
    "parameters of a token": (
        f"{URL}, oauth2: {{{TOKEN}, endpoint_params: {{a: b}}}}",
        f"{URL}, oauth2: {{{TOKEN}, endpoint_params: {{a: c}}}}",
        False,
    ),
    "secret keys": (
        f"{URL}, sigv4: {{region: a, access_key: b, secret_key: x}}",
        f"{URL}, sigv4: {{region: a, access_key: b, secret_key: y}}",
        True,
    ),
    "tenants in headers": (
        f"{URL}, headers: {{X-Scope-OrgID: a}}",
        f"{URL}, headers: {{X-Scope-OrgID: b}}",
        False,
    ),
    "headers to a proxy": (
        f"{URL}, proxy_url: 'http://p/', proxy_connect_header: {{A: [x]}}",
        f"{URL}, proxy_url: 'http://p/', proxy_connect_header: {{A: [y]}}",
        True,
    ),
    "passwords in URLs": ("url: 'http://a:x@r/w'", "url: 'http://a:y@r/w'", True),
    "users in URLs": ("url: 'http://a:x@r/w'", "url: 'http://b:x@r/w'", False),
    "passwords of a proxy": (
        f"{URL}, proxy_url: 'http://a:x@p/'",
        f"{URL}, proxy_url: 'http://a:y@p/'",
        True,
    ),
    "tokens in a query": ("url: 'http://r/w?token=x'", "url: 'http://r/w?token=y'", False),
    "names": (f"{URL}, name: a", f"{URL}, name: b", False),
    "relabelling in another order": (
        f"{URL}, write_relabel_configs: [{{action: drop, regex: a}}, {{action: drop, regex: b}}]",
        f"{URL}, write_relabel_configs: [{{action: drop, regex: b}}, {{action: drop, regex: a}}]",
        False,
    ),
}


def problems(text: str) -> tuple[str, ...]:
    """Return the problems of an input with both parts."""
    try:
        render(Source("in.yml", text.encode()))
    except ConfigurationError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(("one", "other", "is_duplicate"), PAIRS.values(), ids=list(PAIRS))
@pytest.mark.parametrize("name", ["remote_write", "remote_read"])
def test_duplicate_entries_are_refused(name: str, one: str, other: str, is_duplicate: bool) -> None:
    """Duplicate entries are refused with both places and the remedy, without secrets."""
    text = f"follower: {{}}\nleader:\n  {name}:\n  - {{{one}}}\n  - {{{other}}}\n"
    found = problems(text)
    assert bool(found) is is_duplicate
    for problem in found:
        assert problem.startswith(f"in.yml:5:5: Prometheus refuses this entry of {name} as a ")
        assert "at in.yml:4," in problem


@pytest.mark.parametrize("name", ["remote_write", "remote_read"])
@pytest.mark.parametrize(
    ("one", "other", "is_duplicate"),
    [("a", "a", True), ("a", "'a'", True), ("a", "b", False), ("null", "~", False)],
)
def test_entries_with_one_name_are_refused(
    name: str, one: str, other: str, is_duplicate: bool
) -> None:
    """Entries with the same name are refused with both places; a null is no name."""
    text = f"follower: {{}}\nleader:\n  {name}:\n"
    found = problems(f"{text}  - {{url: 'http://a', name: {one}}}\n  - {{url: b, name: {other}}}\n")
    assert [line.partition(", because")[0] for line in found] == (
        [f"in.yml:5:5: Prometheus refuses this entry of {name}"] if is_duplicate else []
    )
    assert all("the one at in.yml:4 has its name" in line for line in found)


def test_entry_of_the_leader_may_not_repeat_one_of_the_follower() -> None:
    """A leader's duplicate of a follower's entry has both places, although the latter is text."""
    text = "follower:\n  remote_write:\n  # mine\n  - url: http://r/w\n    name: a\n"
    leader = "leader:\n  remote_write:\n  - url: http://r/w\n    name: a\n"
    (problem,) = problems(text + leader)
    assert problem.startswith("in.yml:8:5: ")
    assert "at in.yml:4," in problem
    base = Source("p.yml", b"remote_write:\n- url: http://r/w\n")
    with pytest.raises(ConfigurationError) as raised:
        WholeFile().render(base, [Source("l.yml", b"remote_write:\n- url: http://r/w\n")])
    assert str(raised.value).startswith("l.yml:2:3: ")
    assert "at p.yml:2," in str(raised.value)


def test_duplicates_in_a_whole_file_are_refused() -> None:
    """Two duplicate entries of a whole file are found without any override."""
    base = b"remote_write:\n- url: http://r/w\n- url: http://r/w\n"
    with pytest.raises(ConfigurationError, match=r"p\.yml:3:3: "):
        WholeFile().render(Source("p.yml", base))


def test_duplicates_that_the_leader_removes_are_refused() -> None:
    """Duplicates of the follower are refused although the leader removes them.

    Prometheus would refuse the follower's configuration, and so the start.
    """
    base = Source("p.yml", b"remote_write:\n- url: http://r/w\n- url: http://r/w\n")
    override = Source("l.yml", b"remote_write:\n- {$patch: replace}\n- url: http://r/x\n")
    with pytest.raises(ConfigurationError, match=r"^p\.yml:3:3: Prometheus refuses this entry"):
        WholeFile().render(base, [override])


def test_invalid_entries_are_left_to_prometheus() -> None:
    """Values that are no lists of mappings are left for Prometheus to refuse."""
    assert problems("follower: {remote_write: [a, [b], {url: {c: [~]}}], remote_read: 5}\n") == ()
