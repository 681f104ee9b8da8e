"""Names and passwords: how they are checked, what this costs, and what is remembered."""

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
    """Runs costly calls at once, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, call: Callable[[], bool]) -> bool:
        """Run the call."""
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
def test_only_the_exact_name_and_password_are_accepted(
    name: str, password: bytes, is_right: bool
) -> None:
    """Only the exact name and password are accepted."""
    assert Passwords(Counting()).are_right(name, password, {"alice": hashed(b"one")}) is is_right


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_each_form_of_hash_is_accepted(prefix: str) -> None:
    """The prefixes of bcrypt hashes that tools write, e.g. htpasswd, are equivalent."""
    users = {"alice": prefix + hashed(b"one")[4:]}
    assert Passwords(Counting()).are_right("alice", b"one", users)


def test_first_72_bytes_of_a_long_password_count() -> None:
    """Of a long password 72 bytes count, as in Prometheus, so that existing hashes work."""
    users = {"alice": hashed(b"x" * 72)}
    assert Passwords(Counting()).are_right("alice", b"x" * 80, users)
    assert not Passwords(Counting()).are_right("alice", b"x" * 71, users)


@pytest.mark.parametrize(
    ("name", "password"), [("alice", b"one"), ("alice", b"wrong"), ("nobody", b"one")]
)
def test_each_password_is_checked_once(name: str, password: bytes) -> None:
    """Right or wrong, known name or not: the second check costs nothing."""
    run_in_thread = Counting()
    passwords = Passwords(run_in_thread)
    users = {"alice": hashed(b"one")}
    found = {passwords.are_right(name, password, users) for _ in range(3)}
    assert found == {password == b"one" and name == "alice"}
    assert run_in_thread.calls == 1


def test_changed_hash_is_checked_again() -> None:
    """A result for the old hash is not used for the new one."""
    passwords = Passwords(Counting())
    assert passwords.are_right("alice", b"one", {"alice": hashed(b"one")})
    assert not passwords.are_right("alice", b"one", {"alice": hashed(b"two")})
    assert not passwords.are_right("alice", b"one", {})


def test_concurrent_check_of_the_same_password_is_shared() -> None:
    """Of two concurrent checks, the second one uses the result of the first."""
    inner: list[bool] = []

    def run_in_thread(call: Callable[[], bool]) -> bool:
        if not inner:
            inner.append(True)
            assert passwords.are_right("alice", b"one", users)  # checks first, and completes first
            users["alice"] = hashed(b"one")
        return call()

    users = {"alice": hashed(b"one")}
    passwords = Passwords(run_in_thread)
    assert passwords.are_right("alice", b"one", users)
    assert len(passwords._right) == 1


def test_unknown_name_costs_as_much_as_a_known_one() -> None:
    """An unknown name is compared with a hash of the users' highest cost that nothing matches."""
    users = {"a": hashed(b"one"), "b": hashed(b"two", 6)}
    assert dummy_hash(users).startswith("$2b$06$")
    assert dummy_hash({}).startswith("$2b$10$")
    assert not bcrypt.checkpw(b"one", dummy_hash(users).encode())


def test_failures_do_not_displace_successes() -> None:
    """Remembered successes and failures are bounded separately."""
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


def test_no_password_is_remembered() -> None:
    """The memory has no password, and its digests differ in each process."""
    one, other = Passwords(Counting()), Passwords(Counting())
    for passwords in (one, other):
        passwords.are_right("alice", b"hunter22", {"alice": hashed(b"hunter22")})
    assert b"hunter22" not in b"".join(one._right)
    assert one._right.keys() != other._right.keys()
