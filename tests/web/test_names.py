"""Names: looked up in threads of their own, and while DNS is dead no more of them than names."""

from __future__ import annotations

import threading

import gevent
import pytest

from wrapper.proxy.resolver import Resolver


def test_a_dead_server_is_asked_once_and_holds_up_no_other_name() -> None:
    """However often somebody asks and gives up; what comes at last is for who waits then."""
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
def test_what_is_not_found_is_raised_and_not_printed(
    name: str, kind: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    """To who asks."""
    with pytest.raises(kind):
        Resolver(1).addresses(name, 9095)
    assert capfd.readouterr() == ("", "")
