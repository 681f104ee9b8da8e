"""Finds jobs that the leader adds with the name of another job, which Prometheus refuses; pure.

Without this check, the replicas would start, and none of them could lead. A job of the same name is
an easy mistake: it does not change the follower's job, but is appended.

Limitation: duplicates in the follower's part are not found here, since every replica's Prometheus
refuses them at once; nor are jobs in included files.
"""

from __future__ import annotations

from yaml.nodes import MappingNode, Node, SequenceNode

from wrapper.configuration.patch import PATCH, REPLACE, names_of
from wrapper.documents.problems import Problems
from wrapper.documents.yaml_nodes import value_of

_LIST, _NAME = "scrape_configs", "job_name"
_TEXT = (
    "another job has this job_name, and Prometheus refuses that; correct it, or, to replace the "
    f"follower's job, add {PATCH}: {REPLACE}"
)


def note_duplicate_jobs(base: MappingNode, merged: MappingNode, problems: Problems) -> None:
    """Add a problem for each job that only ``merged`` has, if another job has its name."""
    old, new = value_of(base, _LIST), value_of(merged, _LIST)
    if new is old or not isinstance(new, SequenceNode):
        return
    kept = {id(job) for job in old.value} if isinstance(old, SequenceNode) else set[int]()
    seen = {_name(job) for job in new.value if id(job) in kept}
    for job in new.value:
        if id(job) not in kept:
            name = _name(job)
            if name and name in seen:
                problems.at(job, _TEXT)
            seen.add(name)


def _name(job: Node) -> str:
    """Return a job's name; "" if it has none, which Prometheus refuses too."""
    return names_of(job).get(_NAME, "")
