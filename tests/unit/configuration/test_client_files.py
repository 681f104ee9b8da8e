"""The files of HTTP clients that a configuration names, and which of them must exist."""

from __future__ import annotations

from yaml.nodes import MappingNode

from wrapper.configuration.client_files import client_files
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import compose

CONFIG = b"""\
global: {query_log_file: q}
rule_files: [r.yml]
scrape_configs:
- job_name: a
  scrape_failure_log_file: s
  basic_auth: {username: u, password_file: p}
  tls_config: {ca_file: scraped.pem}
  file_sd_configs: [{files: [f.json]}]
  http_sd_configs: [{url: 'http://x/', tls_config: {ca_file: discovered.pem}}]
alerting:
  alertmanagers:
  - tls_config: {ca_file: am.pem}
remote_write:
- tls_config: {ca_file: /ca.pem, cert_file: c, key_file: ''}
- oauth2: {client_secret_file: o, tls_config: {ca_file: oca}}
- http_headers: {A: {files: [h1, h2]}}
- google_iam: {credentials_file: g.json}
- azuread: {certificate: {certificate_path: ac, certificate_key_path: ak}}
- azuread: {workload_identity: {token_file_path: aw}}
  oauth2: {client_certificate_key_file: ok}
remote_read:
- authorization: {credentials_file: t}
  tls_config: {ca_file: read.pem}
tracing: {endpoint: x, tls_config: {ca_file: trace.pem}}
"""


def found(content: bytes = CONFIG) -> dict[str, tuple[str, bool]]:
    """Return the path of each file, and whether it must exist, by its place."""
    root = compose(content, "p.yml")
    assert isinstance(root, MappingNode)
    return {each.place: (each.path, each.is_needed) for each in client_files(root)}


def test_files_of_clients_are_found() -> None:
    """Files that clients read are found, but none that are written, included or discovered."""
    assert found() == {
        "remote_write[0].tls_config.ca_file": ("/ca.pem", True),
        "remote_write[0].tls_config.cert_file": ("c", True),
        "remote_write[1].oauth2.client_secret_file": ("o", False),
        "remote_write[1].oauth2.tls_config.ca_file": ("oca", False),
        "remote_write[2].http_headers.A.files[0]": ("h1", False),
        "remote_write[2].http_headers.A.files[1]": ("h2", False),
        "remote_write[3].google_iam.credentials_file": ("g.json", True),
        "remote_write[4].azuread.certificate.certificate_path": ("ac", True),
        "remote_write[4].azuread.certificate.certificate_key_path": ("ak", True),
        "remote_write[5].azuread.workload_identity.token_file_path": ("aw", False),
        "remote_write[5].oauth2.client_certificate_key_file": ("ok", False),
        "tracing.tls_config.ca_file": ("trace.pem", True),
        "remote_read[0].authorization.credentials_file": ("t", False),
        "remote_read[0].tls_config.ca_file": ("read.pem", True),
        "alerting.alertmanagers[0].tls_config.ca_file": ("am.pem", True),
        "scrape_configs[0].basic_auth.password_file": ("p", False),
        "scrape_configs[0].tls_config.ca_file": ("scraped.pem", False),
    }


def test_files_of_remote_write_come_with_the_renderings() -> None:
    """Each rendering has the files of its ``remote_write``, with their places in the input.

    This also holds if the follower's part is kept as text.
    """
    base = Source("p.yml", b"remote_write:\n- url: 'https://r/'\n  tls_config: {ca_file: a}\n")
    leader = Source("l.yml", b"remote_write:\n- url: 'https://s/'\n  tls_config: {ca_file: b}\n")
    rendered = WholeFile().render(base, [leader])
    assert [each.path for each in rendered.follower_files] == ["a"]
    places = [(each.name, each.line, each.path) for each in rendered.leader_files]
    assert places == [("p.yml", 2, "a"), ("l.yml", 3, "b")]
    both = render(Source("c.yml", b"follower: {}\nleader: {remote_write: [{url: 'http://r/'}]}\n"))
    assert (both.follower_files, both.leader_files) == ((), ())


def test_path_is_relative_to_the_folder_of_the_configuration() -> None:
    """A path is relative as in Prometheus: to the configuration, some to the working directory."""
    root = compose(CONFIG, "p.yml")
    assert isinstance(root, MappingNode)
    paths = {each.path: each.under("/etc/p") for each in client_files(root)}
    assert (paths["/ca.pem"], paths["c"]) == ("/ca.pem", "/etc/p/c")
    assert all(paths[path] == path for path in ("g.json", "ac", "ak", "aw", "ok"))
