"""The alert rules in real promtool: each alert fires in time, not earlier, and no other fires.

In each case there are also a healthy election, one without the gate, two replicas without an
election, and a single replica: no alert may fire for these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.process.alert_cases import (
    CASES,
    FOLLOWER,
    LEADER,
    QUIET,
    STEP_S,
    STEPS,
    Case,
    Quiet,
    Values,
    healthy,
    series,
    without,
    without_election,
)
from tests.real.parts import CHECKOUT
from tests.real.promtool import promtool
from wrapper.model.label_values import LEASE_ERRORS, RELOAD_FAILURES
from wrapper.model.roles import Cause
from wrapper.options.flags import BY_NAME
from wrapper.web.metric_table import METRICS

RULES = CHECKOUT / "k8s/chart/files/rules/prometheus-elector.yml"
RUNBOOK = RULES.with_name("README.md")
[GROUP] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
END = f"{STEPS * STEP_S}s"
IN_TROUBLE = ("monitoring", "prometheus")


def changed(healthy_values: Values, changes: Values) -> Values:
    """Return a replica's series with changes; raise KeyError for a series that it has not."""
    known = {key.removeprefix("prometheus_elector_"): key for key in healthy_values}
    known |= {key: key for key in healthy_values}
    return healthy_values | {known[name]: value for name, value in changes.items()}


def inputs(case: Case | Quiet | None) -> list[dict[str, str]]:
    """Return the series of the election with the fault, and of all others."""
    leader, follower = healthy(LEADER, leads=True), healthy(FOLLOWER, leads=False)
    ours = changed(leader, case.leader if case else {})
    theirs = changed(follower, case.follower if case else {})
    return [
        *series(*IN_TROUBLE, LEADER, ours),
        *series(*IN_TROUBLE, FOLLOWER, theirs),
        *series("elsewhere", "prometheus", LEADER, leader),
        *series("elsewhere", "prometheus", FOLLOWER, follower),
        *series("ungated", "prometheus", LEADER, without("gate", of=leader)),
        *series("ungated", "prometheus", FOLLOWER, without("gate", of=follower)),
        *series("plain", "prometheus", LEADER, without_election()),
        *series("plain", "prometheus", FOLLOWER, without_election()),
        *series("single", "prometheus", LEADER, without_election()),
    ]


def verdict(
    folder: Path,
    given: list[dict[str, str]],
    tests: Iterable[dict[str, Any]],
    rules: Path = RULES,
) -> str:
    """Run promtool with these series and tests, and return its errors; "" for none."""
    test = {"interval": f"{STEP_S}s", "input_series": given, "promql_expr_test": list(tests)}
    whole = {"rule_files": [str(rules)], "evaluation_interval": f"{STEP_S}s", "tests": [test]}
    file = folder / "test.yml"
    file.write_text(json.dumps(whole))
    done = promtool("test", "rules", file)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def alone(alert: str, folder: Path) -> Path:
    """Write a file with only this alert's rule: that takes promtool a tenth of the time."""
    file = folder / "rules.yml"
    file.write_text(json.dumps({"groups": [{**GROUP, "rules": [ALERTS[alert]]}]}))
    return file


def labels(of: dict[str, str]) -> str:
    """Return labels in PromQL's notation."""
    return ",".join(f'{name}="{value}"' for name, value in of.items())


def firing(at_s: int, which: str, *expected: dict[str, str]) -> dict[str, Any]:
    """Return a promtool test that exactly these alerts of ``which`` fire at a time."""
    samples = [{"labels": f"ALERTS{{{labels(each)}}}", "value": 1} for each in expected]
    expr = f'ALERTS{{alertstate="firing"{which}}}'
    return {"expr": expr, "eval_time": f"{at_s}s", "exp_samples": samples}


def expected_labels(case: Case) -> dict[str, str]:
    """Return the labels of a case's alert while it fires."""
    namespace, job = IN_TROUBLE
    of = {"pod": case.of, "instance": f"{case.of}:9095"} if case.of else {}
    return {
        "alertname": case.alert,
        "alertstate": "firing",
        "severity": case.severity,
        "namespace": namespace,
        "job": job,
        **of,
        **case.labels,
    }


def test_promtool_accepts_the_rules() -> None:
    """Promtool accepts the file with all of its lint checks, and no rule is a duplicate."""
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"SUCCESS: {len(ALERTS)} rules found" in done.stdout
    assert len(ALERTS) == len(GROUP["rules"])


def test_healthy_elections_cause_no_alerts(tmp_path: Path) -> None:
    """Healthy elections, and replicas without one, cause no pending or firing alerts."""
    nothing = {"expr": f"max_over_time(ALERTS[{END}])", "exp_samples": []}
    assert verdict(tmp_path, inputs(None), [{**nothing, "eval_time": END}]) == ""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_alert_fires_in_time(case: Case, tmp_path: Path) -> None:
    """An alert fires at its time with its labels, not a step earlier, and for no other election."""
    last_s = max(case.fires_at_s, case.still_at_s)
    which = f',alertname="{case.alert}"'
    tests = [
        firing(case.fires_at_s - case.open_range_earlier_s - STEP_S, which),
        firing(case.fires_at_s, which, expected_labels(case)),
        firing(last_s, which, expected_labels(case)),
        *([firing(case.over_at_s, which)] if case.over_at_s else []),
        {
            "expr": f'max_over_time(ALERTS{{namespace!="{IN_TROUBLE[0]}"}}[{last_s}s])',
            "eval_time": f"{last_s}s",
            "exp_samples": [],
        },
    ]
    assert verdict(tmp_path, inputs(case), tests) == ""


@pytest.mark.parametrize("case", QUIET, ids=str)
def test_alert_does_not_fire(case: Quiet, tmp_path: Path) -> None:
    """A harmless state does not make the alert fire within half an hour."""
    never = f'max_over_time(ALERTS{{alertstate="firing",alertname="{case.alert}"}}[30m])'
    tests = [{"expr": never, "eval_time": "30m", "exp_samples": []}]
    assert verdict(tmp_path, inputs(case), tests, alone(case.alert, tmp_path)) == ""


def test_absent_fires_where_nothing_is_scraped(tmp_path: Path) -> None:
    """If no replica is scraped, PrometheusElectorAbsent fires after 15 minutes, and only it."""
    of = {"alertname": "PrometheusElectorAbsent", "alertstate": "firing", "severity": "warning"}
    tests = [firing(15 * 60 - STEP_S, ""), firing(15 * 60, "", of)]
    other = [{"series": 'up{job="other"}', "values": f"1+0x{STEPS}"}]
    assert verdict(tmp_path, other, tests) == ""


def test_every_alert_has_a_case() -> None:
    """Every alert has a test case."""
    assert {case.alert for case in CASES} | {"PrometheusElectorAbsent"} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_has_texts_and_runbook(name: str) -> None:
    """Each alert has a severity, a summary, a description, and a runbook of three parts."""
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    summary, text = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert summary.endswith(".")
    assert text.endswith(".")
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert CHECKOUT / path == RUNBOOK
    assert anchor == name.lower()
    _, _, section = RUNBOOK.read_text().partition(f"\n## {name}\n")
    for part in ("**What it means.**", "**Look at.**", "**Do.**"):
        assert part in section.partition("\n## ")[0], part


def test_runbook_sections_are_the_alerts() -> None:
    """The sections of the runbook are the alerts, in the order of the rules."""
    sections = re.findall(r"^## (PrometheusElector\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == list(ALERTS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_texts_use_existing_labels(case: Case) -> None:
    """The texts of an alert use only labels that the alert has."""
    text = " ".join(ALERTS[case.alert]["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= set(expected_labels(case))


def test_runbook_names_existing_flags_and_metrics() -> None:
    """The flags, metrics and reasons in the runbook exist in the program."""
    text = RUNBOOK.read_text()
    flags = set(re.findall(r"`--([a-z-]+)`", text))
    assert flags <= set(BY_NAME)
    assert set(re.findall(r"prometheus_elector_\w+", text)) <= set(METRICS)
    causes = words("Flapping") - {"reason", "role_transitions_total"}
    assert causes
    assert causes <= set(Cause)
    assert words("LeaseOutOfReach") - {"reason"} == set(LEASE_ERRORS)
    assert set(RELOAD_FAILURES) <= words("ReloadNotConfirmed")


def words(alert: str) -> set[str]:
    """Return the words in back-ticks in the section of an alert."""
    section = RUNBOOK.read_text().partition(f"\n## PrometheusElector{alert}\n")[2]
    return set(re.findall(r"`([a-z]+(?:[_-][a-z]+)*)`", section.partition("\n## ")[0]))
