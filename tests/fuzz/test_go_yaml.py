"""Prometheus reads a rendering as the inputs, merged as plain values.

The oracle is Prometheus' own YAML library. If it refuses an input, it may or may not refuse the
rendering: libyaml accepts a little more, and writes it so that both accept it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.form import fuzzed
from tests.fuzz.go_yaml import REFUSED, GoYaml, go_yaml
from tests.fuzz.yaml_texts import Pair, pairs
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.model.configuration import Renderings


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoYaml]:
    """Run Prometheus' YAML library."""
    with go_yaml(tmp_path_factory.mktemp("go-yaml")) as program:
        yield program


def check(oracle: GoYaml, pair: Pair, renderings: Renderings) -> None:
    """Compare the values of both inputs with those of both renderings."""
    contents = (renderings.follower.content, renderings.leader.content)
    wanted, merged, follower, leader = oracle.ask(pair.follower, pair.leader, *contents)
    if not wanted.startswith(REFUSED):
        assert follower == wanted
    if not merged.startswith(REFUSED):
        assert leader == merged


@fuzzed(200, pair=pairs)
def test_whole_file(oracle: GoYaml, pair: Pair) -> None:
    """The renderings of a follower's file with overrides have the values of the inputs."""
    override = Source("l.yml", pair.leader)
    try:
        rendered = WholeFile().render(Source("p.yml", pair.follower), [override])
    except ConfigurationError:
        return
    check(oracle, pair, rendered.renderings)


@fuzzed(200, pair=pairs)
def test_one_file(oracle: GoYaml, pair: Pair) -> None:
    """The renderings of one file with both parts have the values of the inputs."""
    try:
        rendered = render(Source("x.yml", pair.in_one_file))
    except ConfigurationError:
        return
    check(oracle, pair, rendered.renderings)
