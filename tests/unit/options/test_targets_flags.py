"""Flags of feeds, brokers and ``targets FILE``: their settings and their problems."""

from __future__ import annotations

import pytest

from tests.unit.options.given import OWNER, loaded, own, problems
from wrapper.model.fetched_file import Feed

FEED = "http://promgen/api/v1/targets?a=b=/p/t.json"


def test_feeds_are_set_by_flags_or_one_variable() -> None:
    """Several flags or lines of one variable set feeds; their last ``=`` separates the file."""
    both = (Feed("http://promgen/api/v1/targets?a=b", "/p/t.json"), Feed("http://p/", "/p/r.yml"))
    words = own(f"--targets-url={FEED}", "--targets-url=http://p/=/p/r.yml")
    assert loaded(words).targets.feeds == both
    environ = {"ELECTOR_TARGETS_URL": f"{FEED}\n  http://p/=/p/r.yml\n"}
    assert loaded(environ=environ).targets.feeds == both


def test_url_of_a_feed_is_encoded_but_not_its_file() -> None:
    """A feed's URL is percent-encoded, its file is not.

    A service of Promgen may have any name.
    """
    (feed,) = loaded(
        own("--targets-url=http://p/rest/service/決済/targets/=/決.json")
    ).targets.feeds
    sent = "http://p/rest/service/%E6%B1%BA%E6%B8%88/targets/"
    assert feed == Feed(sent, "/決.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--targets-url=http://p/",), "not URL=FILE"),
        (("--targets-url=p=/p/t.json",), "not URL=FILE"),
        (("--targets-url=http://p/a b=/p/t.json",), "and %20 for a space"),
        (("--targets-url=http://p/=t.json",), "not absolute"),
        (("--targets-url=http://p/=/p/t.txt",), "use .json for targets"),
        (("--targets-url=http://p/=/p/t.json/",), "use .json for targets"),
        (("--targets-url=http://p/=/t.json", "--targets-url=http://q/=/t.json"), "given twice"),
        (("--targets-broker=redis://r/0",), "--targets-url: missing"),
        (("--targets-broker=http://r/0", f"--targets-url={FEED}"), "http is not a supported kind"),
        (
            ("--targets-broker=sqs://", f"--targets-url={FEED}"),
            "sqs is not a supported kind of broker; use one of amqp, amqps, redis",
        ),
        (("--from=http://p/",), "only prometheus-elector targets FILE has these flags"),
        (("--reload",), "only prometheus-elector targets FILE has these flags"),
        (("targets",), "not the first word"),
        (("targets", "a.json", "b.json", "--from=http://p/"), "run it once for each"),
    ],
)
def test_invalid_targets_flag_is_refused(words: tuple[str, ...], said: str) -> None:
    """Each mistake leads to one line with its remedy."""
    at_start = {"targets": (*OWNER[:1], *words)} if len(words) == 1 else {"targets": words}
    found = problems(at_start.get(words[0], own(*words)))
    assert len([line for line in found if said in line]) == 1, found


def test_passwords_are_not_shown() -> None:
    """Problems show neither the password of a feed nor that of a broker."""
    for flag in ("targets-url", "targets-broker"):
        for scheme in ("ftp", "http", "amqp"):
            word = f"--{flag}={scheme}://me:hun/ter2@host/"
            (said,) = problems(own(word, f"--targets-url={FEED}"))[:1]
            assert "hun" not in said
            assert "ter2" not in said


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:pa/ss@host/",
        "amqp://user/x:pass@host/",
        "amqp://user:pa@ss@host/",
        "amqp://[host",
        "amqp:///",
        "redis://:p#ss@h/0",
        "redis://h:port/0",
        "redis://h:0/0",
        "redis://h:70000/0",
        "redis://h/0#x",
    ],
)
def test_url_of_a_broker_is_checked_at_the_start(url: str) -> None:
    """An invalid broker's URL is refused.

    Its library would fail later, with a part of the password in its message.
    """
    found = problems(own(f"--targets-broker={url}", f"--targets-url={FEED}"))
    assert len([line for line in found if "not a broker's URL" in line]) == 1, found


@pytest.mark.parametrize(
    "url",
    ["amqps://u:p%2F%40@h:5671/vhost", "redis://:p@[::1]:6379/0", "redis://h", "amqp://u@h//?x=1"],
)
def test_valid_url_of_a_broker_is_unchanged(url: str) -> None:
    """A URL with or without name, password, port and path is unchanged."""
    words = own(f"--targets-broker={url}", f"--targets-url={FEED}")
    assert loaded(words).targets.broker == url


def test_targets_command_needs_no_configuration() -> None:
    """``targets FILE`` needs no configuration and no child; the file is the only plain word."""
    settings = loaded(("targets", "/p/t.json", "--from=http://p/"))
    assert (settings.is_once, settings.command.file, settings.command.url) == (
        True,
        "/p/t.json",
        "http://p/",
    )
    assert problems(("targets", "--from=http://p/"))
