"""The lines that the command ``status`` prints about problems of the configuration; pure.

Other replicas' answers are not trusted: problems in another form are omitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wrapper.election.lease_fields import mapping


def configuration_lines(replicas: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the first problem of each replica's configuration, and where the others are."""
    for replica in replicas:
        status = mapping(replica.get("status"))
        problems = mapping(status.get("configuration")).get("problems")
        if not isinstance(problems, list) or not problems:
            continue
        others = len(problems) - 1
        more = f" ({others} more in configuration.problems of /_elector/status)" if others else ""
        yield f"configuration of {status.get('identity')}: {problems[0]}{more}"
