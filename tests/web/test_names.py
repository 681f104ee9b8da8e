"""The resolver: it uses its own threads, and at most one thread for each name."""

from __future__ import annotations

import threading

import gevent
import pytest

from wrapper.proxy.resolver import Resolver


def test_a_slow_lookup_does_not_block_other_names() -> None:
    """While the lookup of a name hangs, it is not repeated, and other names are resolved.

    Its late result is used for the next request.
    """
    hold, asked = threading.Event(), []

    def look_up(name: str, _port: int) -> list[str]:
        asked.append(name)
        if name == "dead":
            hold.wait(60)
        return ["10.0.0.2", "10.0.0.1"]

    resolver = Resolver(2, look_up)
    for _ in range(5):
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
            resolver.addresses("dead", 9095)
    assert resolver.addresses("quick", 9095) == ["10.0.0.2", "10.0.0.1"]
    hold.set()
    assert resolver.addresses("dead", 9095) == ["10.0.0.2", "10.0.0.1"]
    assert asked.count("dead") == 1


@pytest.mark.parametrize(("name", "kind"), [("nowhere.invalid", OSError), ("a..b", UnicodeError)])
def test_a_failed_lookup_raises_its_error(
    name: str, kind: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    """A failed lookup raises its error, and prints nothing."""
    with pytest.raises(kind):
        Resolver(1).addresses(name, 9095)
    assert capfd.readouterr() == ("", "")
