"""Names and passwords: what is right, what it costs, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import bcrypt
import pytest

from wrapper.access.passwords import Passwords, dummy_hash


@cache
def hashed(password: bytes, cost: int = 4) -> str:
    """Return a cheap bcrypt hash."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


class Counting:
    """Runs what is costly at once, and counts it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, call: Callable[[], bool]) -> bool:
        """Run it."""
        self.calls += 1
        return call()


@pytest.mark.parametrize(
    ("name", "password", "is_right"),
    [
        ("alice", b"one", True),
        ("alice", b"One", False),
        ("alice", b"", False),
        ("Alice", b"one", False),
        ("", b"one", False),
        ("alice", b"one\0", False),
        ("ä\udcff", b"one", False),
    ],
)
def test_names_and_passwords(name: str, password: bytes, is_right: bool) -> None:
    """Only the very same name and password are right."""
    assert Passwords(Counting()).are_right(name, password, {"alice": hashed(b"one")}) is is_right


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_every_form_of_hash(prefix: str) -> None:
    """The forms that tools write, htpasswd's among them, mean the same."""
    users = {"alice": prefix + hashed(b"one")[4:]}
    assert Passwords(Counting()).are_right("alice", b"one", users)


def test_of_a_long_password_the_first_72_bytes_count() -> None:
    """As Prometheus has it, rather than to refuse what was hashed elsewhere."""
    users = {"alice": hashed(b"x" * 72)}
    assert Passwords(Counting()).are_right("alice", b"x" * 80, users)
    assert not Passwords(Counting()).are_right("alice", b"x" * 71, users)


@pytest.mark.parametrize(
    ("name", "password"), [("alice", b"one"), ("alice", b"wrong"), ("nobody", b"one")]
)
def test_each_is_computed_once(name: str, password: bytes) -> None:
    """Right or wrong, known name or not: the second time costs nothing."""
    run_in_thread = Counting()
    passwords = Passwords(run_in_thread)
    users = {"alice": hashed(b"one")}
    found = {passwords.are_right(name, password, users) for _ in range(3)}
    assert found == {password == b"one" and name == "alice"}
    assert run_in_thread.calls == 1


def test_a_changed_hash_is_computed_anew() -> None:
    """What was right for the old hash says nothing of the new one."""
    passwords = Passwords(Counting())
    assert passwords.are_right("alice", b"one", {"alice": hashed(b"one")})
    assert not passwords.are_right("alice", b"one", {"alice": hashed(b"two")})
    assert not passwords.are_right("alice", b"one", {})


def test_who_waited_for_the_same_password_computes_it_not_again() -> None:
    """Of two who ask at a time, the second takes what the first has found."""
    inner: list[bool] = []

    def run_in_thread(call: Callable[[], bool]) -> bool:
        if not inner:
            inner.append(True)
            assert passwords.are_right("alice", b"one", users)  # asks first, and is done first
            users["alice"] = hashed(b"one")
        return call()

    users = {"alice": hashed(b"one")}
    passwords = Passwords(run_in_thread)
    assert passwords.are_right("alice", b"one", users)
    assert len(passwords._right) == 1


def test_a_name_that_nobody_has_costs_as_much() -> None:
    """It is compared with a hash of the highest cost among the users, that nothing matches."""
    users = {"a": hashed(b"one"), "b": hashed(b"two", 6)}
    assert dummy_hash(users).startswith("$2b$06$")
    assert dummy_hash({}).startswith("$2b$10$")
    assert not bcrypt.checkpw(b"one", dummy_hash(users).encode())


def test_a_flood_of_failures_pushes_out_no_success() -> None:
    """Both are bounded, each by itself."""
    run_in_thread = Counting()
    passwords = Passwords(run_in_thread, most_kept=3)
    users = {"alice": hashed(b"one")}
    assert passwords.are_right("alice", b"one", users)
    for number in range(10):
        passwords.are_right("alice", b"%d" % number, users)
    assert len(passwords._wrong) == 3
    before = run_in_thread.calls
    assert passwords.are_right("alice", b"one", users)
    assert run_in_thread.calls == before


def test_no_password_is_kept() -> None:
    """What is remembered has the password nowhere, and its digest is another in each process."""
    one, other = Passwords(Counting()), Passwords(Counting())
    for passwords in (one, other):
        passwords.are_right("alice", b"hunter22", {"alice": hashed(b"hunter22")})
    assert b"hunter22" not in b"".join(one._right)
    assert one._right.keys() != other._right.keys()
