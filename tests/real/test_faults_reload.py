"""If Prometheus does not load a rendering, a promotion is undone, and a demotion still works."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.real.fleet import (
    SPARE_S,
    Fleet,
    await_turns,
    cause_of,
    lines_of,
    promotions,
    writes_remotely,
    writes_to,
)
from tests.support import let_pass, now, wait_until
from wrapper.model.roles import Cause

COOL = ("--cool-down=500ms", "--rehash-period=200ms")
UNLOADABLE = ", write_relabel_configs: [{source_labels: [a], regex: '('}]"
BROKEN_RULES = "groups: [{name: broken, rules: [{record: a, expr: '('}]}]\n"


def test_refused_promotions_are_retried_more_and_more_rarely(fleet: Fleet) -> None:
    """If no replica can load the leader's part, retries get rarer; once corrected, one leads."""
    for name in ("a", "b"):
        replica = fleet.make(name, *COOL)
        fleet.configure(replica, writes_to(fleet.log.url(name), more=UNLOADABLE))
        fleet.begin(replica)
    first = fleet.replicas[0]
    wait_until(lambda: all(map(promotions, fleet.replicas)), 15, "both have tried")
    tried_at = now()
    let_pass(tried_at + 3 - now())
    assert max(map(promotions, fleet.replicas)) <= 4, "at 0, 0.5, 1.5 and 3.5 s"
    assert not fleet.witness.reigns
    assert all(lines_of(replica, f"cause={Cause.PROMOTION_FAILED}") for replica in fleet.replicas)
    fleet.configure(first, writes_to(fleet.log.url("a")))
    first.await_leader(8 + SPARE_S)
    await_turns(fleet, "a")
    mended_at = now()
    let_pass(mended_at + 2 - now())
    assert fleet.witness.reign("a").until > now() - 1


def test_a_leader_that_loads_only_a_part_hands_over(fleet: Fleet, tmp_path: Path) -> None:
    """If a promotion loads remote_write but a broken rule file fails, it is undone.

    Another replica leads.
    """
    rules = tmp_path / "broken.yml"
    rules.write_text(BROKEN_RULES)
    first = fleet.make("a", "--cool-down=30s")
    fleet.configure(first, writes_to(fleet.log.url("a")) + f"  rule_files: [{rules}]\n")
    fleet.begin(first)
    wait_until(lambda: cause_of(first) == Cause.COOLING_DOWN, 15, "it gives up")
    wait_until(lambda: not writes_remotely(first), 2, "it has been demoted")
    second = fleet.start("b")
    second.await_leader(5 + SPARE_S)
    wait_until(lambda: fleet.log.turns()[-1:] == ["b"], 15, "the second writes")
    assert fleet.log.turns() in (["a", "b"], ["b"])
    assert promotions(first) == 1


def test_a_demotion_has_effect_in_spite_of_a_broken_rule_file(fleet: Fleet) -> None:
    """If a rule file is broken at a demotion, remote_write is removed, and the other leads.

    Prometheus is not killed.
    """
    leader, other = fleet.pair()
    leader.config.with_name("beat.yml").write_text(BROKEN_RULES)
    os.kill(leader.pid, signal.SIGUSR1)
    other.await_leader(SPARE_S)
    await_turns(fleet, leader.name, other.name)
    assert leader.is_running
    assert not leader.has_remote_write
