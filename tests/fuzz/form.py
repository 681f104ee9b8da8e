"""The form of a fuzz test: few fixed examples; `scripts/fuzz` runs many others.

A target is a file ``tests/fuzz/test_NAME.py`` whose tests are decorated with ``fuzzed``; shared
strategies are in modules beside it. Nothing has to be registered.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

SEED = "FUZZ_SEED"  # set by scripts/fuzz, for each of its rounds
TIMES = 20  # a round has this many times the examples of scripts/test
EXAMPLES: Counter[str] = Counter()  # by test, in a round

Test = Callable[..., None]


def fuzzed(examples: int, **strategies: SearchStrategy[Any]) -> Callable[[Test], Test]:
    """Run a test with this number of examples, which should take about a second.

    A test may take fixtures; each lasts for all its examples.
    """
    given_seed = os.environ.get(SEED)
    bounded = settings(
        max_examples=examples if given_seed is None else examples * TIMES,
        derandomize=given_seed is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )

    def decorated(test: Test) -> Test:
        run: Test = bounded(given(**strategies)(_counted(test)))
        return run if given_seed is None else seed(int(given_seed))(run)

    return decorated


def _counted(test: Test) -> Test:
    @functools.wraps(test)
    def counted(*arguments: Any, **named: Any) -> None:
        EXAMPLES[test.__name__] += 1
        test(*arguments, **named)

    return counted
