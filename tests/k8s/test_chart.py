"""The chart is valid, kustomize's files are made from it, and its numbers fit together."""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.rendering import (
    CHART,
    K8S,
    USES,
    Refused,
    chart,
    container,
    environment,
    find,
    helm,
    kustomize,
    without_helm,
)
from tests.real.parts import CHECKOUT
from wrapper.base.durations import parse_duration
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.options.flag_values import read_value
from wrapper.options.flags import BY_NAME, FLAGS
from wrapper.supervision.shutdown import SUCCESSOR_WAIT_S

SWITCHES = ("rules", "dashboards")
GATED = ("--set", "gate.enabled=true")
EVERYTHING = (
    *("--set", "proxy.enabled=true", "--set", "leaderLabel.enabled=true"),
    *("--set", "rules.enabled=true", "--set", "dashboards.enabled=true"),
    *("--set", "serviceMonitor.enabled=true", "--set", "podMonitor.enabled=true"),
    *("--set", "config.kind=Secret", "--set", "networkPolicy.from[0].podSelector.matchLabels.a=b"),
    *("--set", "extraVolumes[0].name=tls", "--set", "extraVolumes[0].secret.secretName=tls"),
    *("--set", "extraVolumeMounts[0].name=tls", "--set", "extraVolumeMounts[0].mountPath=/tls"),
    *("--set", "serviceMonitor.endpoints.api.scheme=https"),
    *("--set", "podMonitor.endpoints.web.basicAuth.username.name=u"),
    *("--set", "podMonitor.endpoints.web.basicAuth.username.key=name"),
    *GATED,
)


@pytest.mark.parametrize("use", [None, *USES, "promgen"])
def test_lint(use: str | None) -> None:
    """Helm's lint finds no error in the chart, with its own values and those of each use."""
    values = ("--values", str(K8S / f"values/{use}.yaml")) if use else ()
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, *values)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("replica=3", "replica"),
        ("lease.duration=15", "lease/duration"),
        ("lease.duration=1500ms", "lease/duration"),
        ("lease.renewDeadLine=3s", "renewDeadLine"),
        ("prometheus.major=1", "prometheus/major"),
        ("config.kind=Volume", "config/kind"),
        ("handOver.prometheusGraceSeconds=1m", "handOver/prometheusGraceSeconds"),
        ("gate.memory=64Mi", "gate/memory"),
        ("gate.port=9095", "gate/port"),
        ("serviceAccount.create=false", "serviceAccount.name: missing"),
    ],
)
def test_invalid_values_are_refused(words: str, complaint: str) -> None:
    """A value that is misspelt, malformed or missing is refused, with its name."""
    with pytest.raises(Refused) as refused:
        chart("--set", words)
    assert complaint in str(refused.value)


def test_every_value_has_a_schema() -> None:
    """The schema has exactly the names of the default values."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(values: object, schema: dict[str, object], path: str) -> None:
        named = schema.get("properties")
        if not isinstance(named, dict):
            return
        assert isinstance(values, dict), path
        assert set(named) - {"global"} == set(values), path
        assert schema["additionalProperties"] is False, path
        for name, value in values.items():
            compare(value, named[name], f"{path}/{name}")

    compare(values, schema, "")


@pytest.mark.parametrize("part", ["base", "components/rules", "components/dashboards"])
def test_base_is_made_from_the_chart(made_again: Path, part: str) -> None:
    """The files in k8s/base and k8s/components are those that `scripts/render-k8s` makes."""
    made = {path.name: path.read_text() for path in (made_again / part).iterdir()}
    assert made == {path.name: path.read_text() for path in (K8S / part).iterdir()}


@pytest.fixture(scope="module")
def made_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the output of `scripts/render-k8s`."""
    folder = tmp_path_factory.mktemp("k8s")
    subprocess.run([CHECKOUT / "scripts/render-k8s", folder], check=True)
    return folder


def test_components_are_the_switches_of_the_chart(tmp_path: Path) -> None:
    """An overlay with both components equals the chart with both switches on."""
    resources = [os.path.relpath(K8S / "overlays/agent", tmp_path)]
    components = [os.path.relpath(K8S / "components" / each, tmp_path) for each in SWITCHES]
    whole = {"resources": resources, "components": components}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    on = [word for each in SWITCHES for word in ("--set", f"{each}.enabled=true")]
    made = without_helm(kustomize(tmp_path))
    assert {"PrometheusRule/prometheus", "ConfigMap/prometheus-dashboards"} <= set(made)
    assert made == without_helm(chart(*on, use="agent"))


def test_the_chart_keeps_the_alert_rules_unchanged() -> None:
    """The PrometheusRule has the groups of the rules file; none of it is taken for a template."""
    made = find(chart("--set", "rules.enabled=true"), "PrometheusRule")
    assert made["spec"] == yaml.safe_load(
        (CHART / "files/rules/prometheus-elector.yml").read_text()
    )


def test_runbook_links_use_the_given_url() -> None:
    """Each alert links to its section of the page in `rules.runbookUrl`."""
    words = ("rules.enabled=true", "rules.runbookUrl=https://wiki/runbook")
    made = find(chart(*(x for word in words for x in ("--set", word))), "PrometheusRule")
    for rule in made["spec"]["groups"][0]["rules"]:
        anchor = f"https://wiki/runbook#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == anchor


def test_the_chart_keeps_the_dashboard_unchanged() -> None:
    """The ConfigMap has the dashboard's file unchanged, and the label that Grafana looks for."""
    made = find(chart("--set", "dashboards.enabled=true"), "ConfigMap", "prometheus-dashboards")
    [(name, text)] = made["data"].items()
    assert text == (CHART / "files/dashboards" / name).read_text()
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_policy_is_the_one_of_the_page() -> None:
    """The chart's admission policy is that of the threat model, which other tests try."""
    text = (CHECKOUT / "wrapper/docs/threat-model.md").read_text(encoding="utf-8")
    told = list(yaml.safe_load_all(text.partition("```yaml\n")[2].partition("```")[0]))
    on = ("--set", "admissionPolicy.enabled=true")
    made = chart(*on, namespace="monitoring")
    policy, binding = (find(made, each["kind"]) for each in told)
    assert policy["spec"] == told[0]["spec"]
    name = policy["metadata"]["name"]
    assert binding["spec"] == told[1]["spec"] | {"policyName": name}
    assert name == "monitoring-prometheus"
    other = chart(*on, "--set", "lease.name=l", "--set", "serviceAccount.name=s")
    spec = json.dumps(find(other, "ValidatingAdmissionPolicy")["spec"])
    assert "system:serviceaccount:default:s" in spec
    assert 'object.metadata.name == \\"l\\"' in spec


@pytest.mark.parametrize("use", USES)
def test_overlay_is_the_chart_with_its_values(use: str) -> None:
    """A kustomize overlay equals the chart with the values file of the same name."""
    assert without_helm(kustomize(f"overlays/{use}")) == without_helm(chart(use=use))


@pytest.mark.parametrize("use", USES)
def test_example_has_the_overlay(use: str) -> None:
    """An example has all objects of its overlay, in its namespace, with the rights for them."""
    example = without_helm(kustomize(f"examples/{use}"))
    assert set(without_helm(kustomize(f"overlays/{use}"))) <= set(example)
    [subject] = example["RoleBinding/prometheus"]["subjects"]
    assert subject["namespace"] == "monitoring"


def test_variables_are_flags() -> None:
    """Every ELECTOR_ variable of the manifests is that of a flag."""
    known = {flag.env for flag in FLAGS}
    given = set(environment(find(chart(*EVERYTHING), "StatefulSet")))
    assert {name for name in given if name.startswith("ELECTOR_")} <= known


@pytest.mark.parametrize(
    ("demotion", "prometheus", "api", "retry"),
    [(8, 60, 15, "2s"), (20, 300, 0, "1m30s"), (8, 60, 15, "2500ms"), (8, 60, 15, "9.5s")],
)
def test_the_grace_period_covers_the_whole_shutdown(
    demotion: int, prometheus: int, api: int, retry: str
) -> None:
    """The kubelet's grace period covers demotion, last renewal, successor, Prometheus and API."""
    made = chart(
        *("--set", f"handOver.demotionGraceSeconds={demotion}"),
        *("--set", f"handOver.prometheusGraceSeconds={prometheus}"),
        *("--set", f"handOver.apiGraceSeconds={api}"),
        *("--set-string", f"lease.retryPeriod={retry}"),
    )
    stateful_set = find(made, "StatefulSet")
    has = environment(stateful_set)
    steps = ("DEMOTION_GRACE", "LEASE_RETRY_PERIOD", "PROMETHEUS_GRACE", "API_SHUTDOWN_GRACE_DELAY")
    needed_s = sum(parse_duration(has[f"ELECTOR_{step}"]) for step in steps) + SUCCESSOR_WAIT_S
    assert needed_s == demotion + parse_duration(retry) + prometheus + api + SUCCESSOR_WAIT_S
    grace_s = stateful_set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert needed_s + 5 <= grace_s < needed_s + 6


def test_probes_do_not_depend_on_the_role() -> None:
    """Each probe uses a path that also succeeds on a follower."""
    probes = container(find(chart(use="active-passive"), "StatefulSet"))
    paths = {name: probes[name]["httpGet"]["path"] for name in probes if name.endswith("Probe")}
    assert paths == {
        "startupProbe": "/_elector/healthz",
        "livenessProbe": "/_elector/healthz",
        "readinessProbe": "/_elector/readyz",
    }


def test_a_protected_replica_can_be_scraped() -> None:
    """Monitors have scheme and credentials for each port, and TLS files can be mounted."""
    objects = chart(*EVERYTHING)
    endpoints = find(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert {each["port"]: each.get("scheme") for each in endpoints} == {"api": "https", "web": None}
    endpoints = find(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    asked = {each["port"]: each.get("basicAuth") for each in endpoints}
    assert asked == {"api": None, "web": {"username": {"name": "u", "key": "name"}}}
    stateful_set = find(objects, "StatefulSet")
    assert {"name": "tls", "mountPath": "/tls"} in container(stateful_set)["volumeMounts"]
    volumes = stateful_set["spec"]["template"]["spec"]["volumes"]
    assert {"name": "tls", "secret": {"secretName": "tls"}} in volumes


def test_the_chart_keeps_the_configuration_unchanged() -> None:
    """The ConfigMap has the configuration exactly as written, including 1.10 and comments."""
    text = yaml.safe_load((K8S / "values/agent.yaml").read_text())["config"]["text"]
    assert find(chart(use="agent"), "ConfigMap")["data"]["config.yml"] == text
    written = "follower:\n  global:\n    external_labels: {n: 1.10, at: 1:30}\n\n# end\n"
    made = find(
        chart("--set-json", f'config={{"text": {yaml.safe_dump(written, default_style=chr(34))}}}'),
        "ConfigMap",
    )
    assert made["data"]["config.yml"] == written


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_any_indentation_is_kept(kind: str) -> None:
    """The indentation of a text is kept, even that of its first line.

    YAML would take that for the indentation of the whole text.
    """
    text = "    # far in\nfollower: {}\n"
    files = {"rules.yml": "  groups: []\n"}
    config = json.dumps({"text": text, "files": files, "kind": kind})
    data = find(chart("--set-json", f"config={config}"), kind)["data"]
    if kind == "Secret":
        data = {name: base64.b64decode(value).decode() for name, value in data.items()}
    assert data == {"config.yml": text, **files}


def test_promgens_files_are_those_that_prometheus_reads() -> None:
    """The configuration for Promgen reads exactly the files of the variable, in the data volume."""
    made = chart(use="promgen")
    flag = BY_NAME["targets-url"]
    words = environment(find(made, "StatefulSet"))[flag.env].split()
    feeds = [feed for word in words if isinstance(feed := read_value(flag, word), Feed)]
    text = find(made, "ConfigMap")["data"]["config.yml"]
    patterns = re.findall(r"/prometheus/[\w.*]+", text)
    paths = sorted(feed.path for feed in feeds)
    assert sorted(path for each in patterns for path in fnmatch.filter(paths, each)) == paths
    assert len(patterns) == len(paths)
    assert {feed.kind for feed in feeds} == set(FileKind)
