"""The tables of Prometheus' fields are complete for each tested version.

A field that is new in a version makes one of these tests fail until it has its place here.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from yaml.nodes import MappingNode

from tests.schema import schema
from tests.unit.configuration.test_config_paths import nested, trails
from tests.unit.configuration.test_redact import redacted
from tests.unit.given_documents import compose
from wrapper.access.remote_write_client import FIELDS, read_client
from wrapper.configuration.client_files import FURTHER
from wrapper.configuration.config_paths import PLACES as PATHS
from wrapper.configuration.redact import PLACES as SECRETS
from wrapper.configuration.remote_duplicates import LISTS, note_duplicates
from wrapper.configuration.rendering_for_check import rendering_for_check
from wrapper.documents.problems import Problems
from wrapper.documents.yaml_fields import FieldReader

MARKER = "hunter2-marker"
WRITE = "remote_write/[]/"
NO_FILES = {"metrics_path", "path_prefix"}
# The part of the program that handles a field of a ``remote_write`` entry with the gate.
GATES = {*FIELDS, "name", "remote_timeout", "url"}
APART = {"sigv4"}  # the entry bypasses the gate
WITHOUT_EFFECT = {"round_robin_dns"}  # Prometheus resolves the gate's address instead
PROMETHEUS = {
    *("authorization", "azuread", "basic_auth", "bearer_token", "bearer_token_file", "google_iam"),
    *("headers", "http_headers", "oauth2", "queue_config", "metadata_config"),
    *("convert_nhcb_to_classic", "failed_request_logging", "protobuf_message"),
    *("send_exemplars", "send_native_histograms", "write_relabel_configs"),
}


def configuration(place: str, value: Any) -> Any:
    """Return a configuration with a value in this place."""
    return nested(tuple(place.split("/")), value)


def places(table: Any) -> set[str]:
    """Return the places of one of the program's tables."""
    return {"/".join(trail) for trail in trails(table)}


def root(content: Any) -> MappingNode:
    """Return the root of a configuration."""
    node = compose(yaml.safe_dump(content))
    assert isinstance(node, MappingNode)
    return node


def of_remote_write() -> set[str]:
    """Return the names of the fields of a ``remote_write`` entry."""
    below = (place for place in schema().places() if place.startswith(WRITE))
    return {place.split("/")[2] for place in below}


# --- paths ----------------------------------------------------------------------------------------


def test_paths_are_those_that_prometheus_resolves() -> None:
    """The table of paths has exactly the places that Prometheus resolves."""
    assert places(PATHS) == schema().places("path")


def test_other_files_of_clients_are_known() -> None:
    """The files of clients that Prometheus does not resolve are known, except in discovery."""
    named = {
        place
        for place in schema().places("text") - schema().places("path")
        if re.search(r"_(file|path)$", place) and place.rpartition("/")[2] not in NO_FILES
    }
    assert places(FURTHER) == {place for place in named if "_sd_configs/" not in place}


# --- secrets --------------------------------------------------------------------------------------


def test_values_that_prometheus_hides_are_hidden() -> None:
    """Each value that any version of Prometheus hides is hidden."""
    shown = [
        place
        for place in schema().places("secret")
        if MARKER in str(redacted(yaml.safe_dump(configuration(place, MARKER))))
    ]
    assert shown == []


def test_other_hidden_values_have_a_reason() -> None:
    """A value that Prometheus shows is hidden only if it may be a secret, or is a client's."""
    clients = {place.removeprefix("remote_read/[]/") for place in schema().places("secret")}
    beyond = re.compile(
        r"(http_headers/\*/values/\[\]|/headers/\*|oauth2/endpoint_params/\*|/params/key/\[\])$"
    )
    unexplained = {
        place
        for place in places(SECRETS) - schema().places("secret")
        if not beyond.search(place)
        and re.sub(r".*_sd_configs/\[\]/", "", place, count=1) not in clients
    }
    assert unexplained == set()


def test_credentials_in_urls_are_hidden() -> None:
    """Passwords and tokens in URLs are hidden in each field."""
    url = f"http://user:{MARKER}@host/path?token={MARKER}"
    shown = [
        place
        for place in schema().places("text", "url")
        if MARKER in str(redacted(yaml.safe_dump(configuration(place, url))))
    ]
    assert shown == []


# --- remote_write ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_entries_are_duplicates_if_prometheus_shows_them_alike(name: str) -> None:
    """Entries that differ only in one hidden value are duplicates, as Prometheus compares them."""
    wrong = []
    secrets = schema().places("secret")
    for place in schema().places("secret", "text", "path"):
        if place.startswith(f"{name}/"):
            one, other = (configuration(place, value)[name][0] for value in ("x", "y"))
            problems = Problems()
            note_duplicates(root({name: [one, other]}), problems)
            if bool(problems) is not (place in secrets):
                wrong.append(place)
    assert wrong == []


@pytest.mark.parametrize(
    ("one", "other", "is_duplicate"),
    [("http://u:x@h/", "http://u:y@h/", True), ("http://h/?a=x", "http://h/?a=y", False)],
)
def test_entries_with_equally_shown_urls_are_duplicates(
    one: str, other: str, is_duplicate: bool
) -> None:
    """This holds for each field that is a URL for Prometheus."""
    urls = {place for place in schema().places("url") if place.startswith(LISTS)}
    assert urls
    for place in urls:
        name = place.partition("/")[0]
        both = [configuration(place, url)[name][0] for url in (one, other)]
        problems = Problems()
        note_duplicates(root({name: both}), problems)
        assert bool(problems) is is_duplicate, place


def test_each_field_of_remote_write_is_classified() -> None:
    """A new field fails this test: it may concern the connection to the receiver."""
    kinds = (GATES, APART, WITHOUT_EFFECT, PROMETHEUS)
    assert sum(map(len, kinds)) == len(set().union(*kinds))
    assert of_remote_write() == set().union(*kinds)


def test_gate_knows_each_connection_field() -> None:
    """The gate uses each connection field, or refuses it with a reason."""
    unknown = []
    for place in schema().places():
        if place.startswith(WRITE) and place.split("/")[2] in FIELDS:
            (entry,) = configuration(place, "x")["remote_write"]
            problems = Problems()
            read_client(FieldReader(root(entry), problems), "/etc")
            unknown += [place for problem in problems.lines if "unknown key" in problem]
    assert unknown == []


def test_check_replaces_each_url_of_remote_write() -> None:
    """A Prometheus that is started for a check sends to none of the URLs."""
    for place in schema().places():
        if place.startswith(WRITE) and place.endswith("url"):
            content = yaml.safe_dump(configuration(place, "http://receiver/")).encode()
            assert b"receiver" not in rendering_for_check(content, "127.0.0.1:1"), place
