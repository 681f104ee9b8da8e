"""The rendering for promtool if the files of clients do not exist here."""

from __future__ import annotations

import pytest

from wrapper.configuration.rendering_without_files import rendering_without_files

JOB = "scrape_configs:\n- job_name: a\n  "


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("bearer_token_file: /t  # why", "bearer_token_file: /dev/null  # why"),
        ("authorization: {credentials_file: '/t'}", "authorization: {credentials_file: /dev/null}"),
        ('basic_auth:\n    password_file: "t"', "basic_auth:\n    password_file: /dev/null"),
        ("bearer_token_file: &t !!str /t", "bearer_token_file: &t !!str /dev/null"),
        (
            "tls_config: {ca_file: é, cert_file: 'ü', key_file: /k}\r\n  x: 1",
            "tls_config: {ca_file: /dev/null, cert_file: /dev/null, key_file: /dev/null}\r\n  x: 1",
        ),
        (
            "kubernetes_sd_configs: [{kubeconfig_file: k, tls_config: {key_file: k}}]",
            "kubernetes_sd_configs: [{kubeconfig_file: NULL, tls_config: {key_file: NULL}}]",
        ),
    ],
)
def test_files_of_clients_are_replaced(before: str, after: str) -> None:
    """Paths of clients' files become ``/dev/null``; the rest of the text is unchanged."""
    after = after.replace("NULL", "/dev/null")
    for mark in ("", "\ufeff"):
        assert (
            rendering_without_files(f"{mark}{JOB}{before}\n".encode()) == f"{JOB}{after}\n".encode()
        )


def test_path_behind_an_alias_is_replaced_once() -> None:
    """A path that aliases or merge keys refer to is replaced once."""
    before = f"{JOB}tls_config: &t {{ca_file: /c}}\n- {{job_name: b, tls_config: {{<<: *t}}}}\n"
    assert rendering_without_files(before.encode()) == before.replace("/c", "/dev/null").encode()


@pytest.mark.parametrize(
    "content",
    [
        "rule_files: [r.yml]\nscrape_config_files: [s.yml]\n",
        "global: {query_log_file: q, scrape_failure_log_file: f}\n",
        f"{JOB}scrape_failure_log_file: f\n  file_sd_configs: [{{files: [t.yml]}}]\n",
        f"{JOB}bearer_token_file:\n  static_configs: [{{labels: {{ca_file: a}}}}]\n",
        f"{JOB}tls_config: {{ca_file: null, cert_file: ~, key_file: }}\n",
        f"{JOB}bearer_token_file: |-\n    /t\n",
        "[]\n",
        "# nothing\n",
    ],
)
def test_other_paths_are_unchanged(content: str) -> None:
    """Files that promtool reads or that nothing reads, and paths not found in the text, stay."""
    assert rendering_without_files(content.encode()) == content.encode()


def test_utf_16_is_unchanged() -> None:
    """A text in UTF-16 is unchanged: its marks are no positions of bytes."""
    content = f"{JOB}bearer_token_file: /t\n".encode("utf-16")
    assert rendering_without_files(content) == content
