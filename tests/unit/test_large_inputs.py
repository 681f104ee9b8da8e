"""Inputs whose cost must not grow with the square of their size.

The limit is no measure of speed: it is ten times what each takes, and far below what it takes if
each part is compared with every other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from wrapper.configuration import envsubst
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.redact import Redaction
from wrapper.configuration.render import WholeFile
from wrapper.documents.problems import ConfigurationError, Problems
from wrapper.documents.source import Source
from wrapper.proxy.http_head import response_head

LIMIT_S = 5.0  # of processor time


def patched(jobs: int) -> None:
    """Render as many patches as there are jobs."""
    names = [b"job_name: j%d" % number for number in range(jobs)]
    base = b"scrape_configs:\n" + b"".join(b"- %b\n" % name for name in names)
    override = b"scrape_configs:\n" + b"".join(b"- {%b, $patch: delete}\n" % name for name in names)
    rendered = WholeFile().render(Source("p.yml", base), [Source("l.yml", override)])
    assert rendered.renderings.leader.content == b"scrape_configs: []\n"


def unset(variables: int) -> None:
    """Search for variables that are not set, all on one line."""
    problems = Problems()
    text = b"".join(b"$(A%d) " % number for number in range(variables))
    envsubst.note_unset(text, "x", {}, problems)
    assert problems


def named(entries: int) -> None:
    """Render equal entries of ``remote_write`` with the gate."""
    override = b"remote_write:\n" + b"- {url: 'http://r/'}\n" * entries
    with pytest.raises(ConfigurationError):
        WholeFile(GateSettings("http://g", "/o")).render(
            Source("p.yml", b"{}\n"), [Source("l.yml", override)]
        )


def questioned(names: int) -> None:
    """Redact a regex of many names with optional endings, whose question marks begin no query.

    While Python matches a pattern no other thread runs, not even those that renew the lease.
    """
    regex = "|".join(f"name_{number}(_total)?" for number in range(names))
    assert Redaction().text(regex) == regex


def spaced(spaces: int) -> None:
    """Read a response's field with many spaces, beside one that is folded."""
    wide = b"b%bc" % (b" " * spaces)
    head = response_head(b"HTTP/1.1 200 OK\r\nA: %b\r\nD: e \r\n f\r\n\r\n" % wide)
    assert head is not None
    assert head.fields == [(b"A", wide), (b"D", b"e f")]


def dashed(words: int) -> None:
    """Render a line with many dashes, each of which could be the end of a document."""
    base = b"scrape_configs:\n- job_name: '%b'\n" % (b"--- " * words)
    content = WholeFile().render(Source("p.yml", base), []).renderings.follower.content
    assert content == base


@pytest.mark.parametrize(
    ("read", "size"),
    [
        pytest.param(patched, 12_000, id="patches"),
        pytest.param(unset, 80_000, id="variables"),
        pytest.param(named, 6_000, id="receivers"),
        pytest.param(questioned, 5_000, id="question marks"),
        pytest.param(spaced, 120_000, id="spaces"),
        pytest.param(dashed, 250_000, id="dashes"),
    ],
)
def test_cost_is_not_quadratic(read: Callable[[int], None], size: int) -> None:
    """The cost of each kind of input is proportional to its size, not to its square."""
    began = time.thread_time()
    read(size)
    assert time.thread_time() - began < LIMIT_S
