"""The page for users of Promgen: what it states about this program is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from wrapper.access.http_config import Token, read_http_config
from wrapper.access.tls_values import Text
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.options.command_line import unknown_variables
from wrapper.options.flags import BY_NAME
from wrapper.options.loading import load
from wrapper.targets.answer_errors import redirect_refused, status_refused
from wrapper.web.metric_table import METRICS

CHECKOUT = Path(__file__).parent.parent.parent
PAGE = (CHECKOUT / "wrapper/docs/promgen.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
VARIABLES = re.findall(r"^export (ELECTOR_\w+)=(\S+)", SHELL, re.MULTILINE)
NEEDED = ["--targets-url=http://promgen/api/v1/targets=/t.json", "--", "prometheus"]


@pytest.mark.parametrize(("name", "value"), VARIABLES)
def test_variables_are_valid(name: str, value: str) -> None:
    """Each variable is one of ours, and its value is accepted."""
    settings = load([*NEEDED, "--config.file=p.yml"], {name: value}, hostname="h", incarnation="r")
    assert unknown_variables({name: value}) == ()
    assert settings.targets.broker == value


def test_examples_were_found() -> None:
    """The search of these tests finds the examples."""
    assert len(VARIABLES) == 2


def test_named_flags_and_metrics_exist() -> None:
    """Each flag and metric that the page names exists."""
    flags = set(re.findall(r"--((?:targets|notify|config-check)[a-z-]*)", PAGE))
    assert flags <= set(BY_NAME)
    metrics = set(re.findall(r"prometheus_elector_\w*[a-z]\b", PAGE))
    assert metrics
    assert metrics <= set(METRICS)


def test_example_of_the_token_is_valid() -> None:
    """The file is valid, and gives Promgen's form of a token: ``Authorization: Token …``."""
    [example] = re.findall(r"^```yaml\n(authorization:.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    config = read_http_config(Source("promgen-http.yml", example.encode(), "/etc/prometheus"))
    assert config.credentials == Token("Token", Text(path="/etc/prometheus/promgen.token"))


def test_message_about_a_token_as_a_header_is_current() -> None:
    """The message on the page is the one that the program gives."""
    text = 'http_headers: {Authorization: {values: ["Token x"]}}'
    with pytest.raises(ConfigurationError) as caught:
        read_http_config(Source("promgen-http.yml", text.encode(), "/etc/prometheus"))
    [said] = caught.value.problems
    assert f"\n{said}\n" in PAGE


def test_messages_about_refused_answers_are_current() -> None:
    """The messages on the page are those that the program gives."""
    asked = "http://promgen/rest/service/shop/targets"
    assert redirect_refused(asked, "/rest/service/shop/targets/") in PAGE
    assert status_refused(asked, 400, "Bad Request") in PAGE


def test_chart_values_name_rules_by_a_pattern() -> None:
    """The chart's values name rules by a pattern.

    promtool refuses a plain name before the first fetch, as the page states.
    """
    values = yaml.safe_load((CHECKOUT / "k8s/values/promgen.yaml").read_text(encoding="utf-8"))
    configuration = yaml.safe_load(values["config"]["text"])
    assert [name for name in configuration["follower"]["rule_files"] if "*" not in name] == []
