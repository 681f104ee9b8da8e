"""What the words of `status` and `step-down` mean, and the table that is printed."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.remote import Api, Asked, Unasked, read_words, table

LOCAL = "http://127.0.0.1:9095"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], Asked(LOCAL)),
        (["http://h:1"], Asked("http://h:1")),
        (["h:1"], Asked("http://h:1")),
        (["--for=30m"], Asked(LOCAL, 1800.0)),
        (["-for", "90s", "--force", "https://h/p?a=b"], Asked("https://h/p?a=b", 90.0, True)),  # noqa: FBT003
        (["--for=0s"], Asked(LOCAL, 0.0)),
    ],
)
def test_words_are_read(words: list[str], asked: Asked) -> None:
    """A URL, or this machine's; how long; whether to force it."""
    assert read_words(words, {}) == asked


def test_the_port_is_that_of_the_environment() -> None:
    """As the replica beside it was told where to listen."""
    environ = {"ELECTOR_API_LISTEN_ADDRESS": ":8000"}
    assert read_words([], environ).url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--for=soon"], "--for=soon: "),
        (["--for"], "--for=: "),
        (["--for=8760h"], "write a time from 0s to 168h"),
        (["--quick"], "--quick: unknown; there are URL, --for=30m and --force"),
    ],
)
def test_words_that_mean_nothing_are_refused(words: list[str], told: str) -> None:
    """With what can be written instead."""
    with pytest.raises(Unasked, match=told):
        read_words(words, {})


@pytest.mark.parametrize("url", ["ftp://h", "http://h:port"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(Unasked, match="is no URL"):
        Api(url)


def test_a_password_is_not_shown() -> None:
    """Errors name the server by this."""
    assert str(Api("http://alice:wonderland@h:1")) == "http://h:1"


def test_the_table_keeps_its_columns_whatever_is_in_it() -> None:
    """What others say may hold what a terminal would act on."""
    told: dict[str, Any] = {
        "identity": "a\x1b[2J",
        "role": "leader",
        "leader": "",
        "reason": "x",
        "role_since": "2026-01-01T00:00:00+00:00",
        "prometheus": {"is_ready": True},
        "configuration": {"is_valid": True, "is_loaded": False},
    }
    gone = {"url": "http://h:1", "status": None, "problem": "it refuses connections"}
    heads, first, second = table([{"url": "", "status": told, "problem": ""}, gone])
    assert first.startswith("a[2J ")
    assert first.index("leader") == heads.index("ROLE")
    assert "not confirmed" in first
    assert second.endswith("unreachable: it refuses connections")
