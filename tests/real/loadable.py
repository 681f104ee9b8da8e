"""Configurations with one value in a given place, and everything that it needs to load."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import Any

from tests.real.parts import program
from tests.schema import schema

URL = "http://127.0.0.1:1"
UUID = "11111111-1111-1111-1111-111111111111"
OTHER_UUID = "22222222-2222-2222-2222-222222222222"
CLIENT = {"client_id": UUID, "tenant_id": UUID}
AWS: dict[str, Any] = {"region": "r", "access_key": "a", "secret_key": "s"}
# What an item needs before Prometheus checks its other fields. PEM stands for a file's path.
PEM = "<PEM>"
NEEDED: dict[str, dict[str, Any]] = {
    "scrape_configs": {"job_name": "j"},
    "remote_write": {"url": f"{URL}/"},
    "remote_read": {"url": f"{URL}/"},
    "tracing": {"endpoint": "127.0.0.1:1"},
    "oauth2": {"client_id": "i", "client_secret": "s", "token_url": f"{URL}/"},
    "basic_auth": {"username": "u"},
    "tls_config": {"cert_file": PEM, "key_file": PEM},
    "sigv4": {"region": "r", "access_key": "a", "secret_key": "s"},
    "certificate": {**CLIENT, "certificate_path": PEM},
    "oauth": {**CLIENT, "client_secret": "s"},
    "aws_sd_configs": {"role": "ec2", **AWS},
    "azure_sd_configs": {"subscription_id": "a", **CLIENT, "client_secret": "s"},
    "digitalocean_sd_configs": {},
    "docker_sd_configs": {"host": URL},
    "dockerswarm_sd_configs": {"host": URL, "role": "nodes"},
    "ec2_sd_configs": AWS,
    "ecs_sd_configs": AWS,
    "elasticache_sd_configs": AWS,
    "eureka_sd_configs": {"server": f"{URL}/"},
    "hetzner_sd_configs": {"role": "robot"},
    "http_sd_configs": {"url": f"{URL}/"},
    "ionos_sd_configs": {"datacenter_id": "d"},
    "kubernetes_sd_configs": {"role": "node", "api_server": URL},
    "kuma_sd_configs": {"server": URL},
    "lightsail_sd_configs": AWS,
    "marathon_sd_configs": {"servers": [URL]},
    "msk_sd_configs": AWS,
    "oci_sd_configs": {
        **dict.fromkeys(("region", "tenancy", "user", "fingerprint"), "o"),
        "key_file": PEM,
        "compartments": ["c"],
    },
    "openstack_sd_configs": {"role": "instance", "region": "r"},
    "outscale_sd_configs": AWS,
    "ovhcloud_sd_configs": {
        "endpoint": "ovh-eu",
        "service": "vps",
        "application_key": "a",
        "application_secret": "s",
        "consumer_key": "c",
    },
    "puppetdb_sd_configs": {"url": f"{URL}/", "query": "q"},
    "rds_sd_configs": AWS,
    "scaleway_sd_configs": {
        "role": "instance",
        "project_id": UUID,
        "access_key": "SCW00000000000000000",
        "secret_key": UUID,
    },
    "stackit_sd_configs": {"project": "p", "region": "r"},
    "triton_sd_configs": {"account": "a", "dns_suffix": "d", "endpoint": "127.0.0.1"},
    "uyuni_sd_configs": {"server": URL, "username": "u", "password": "p"},
}
BESIDE = {  # what a field needs in addition
    "client_certificate_key": {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"},
    "proxy_connect_header": {"proxy_url": f"{URL}/"},
}
INSTEAD = {  # what a field replaces
    "ca": {"cert_file", "key_file"},
    "ca_file": {"cert_file", "key_file"},
    "client_certificate_key": {"client_secret"},
    "client_secret_file": {"client_secret"},
    "key": {"key_file"},
    "kubeconfig_file": {"api_server"},
    "secret_key_file": {"secret_key"},
    "username_file": {"username"},
}


def completed(place: str, value: str, pem: str) -> Any:
    """Return a configuration with a value in a place, and everything that it needs to load.

    ``pem`` is the path of a file with a certificate and its key.
    """

    def below(key: str, rest: list[str]) -> Any:
        if not rest:
            return value
        if rest[0] == "[]":
            return [below(key, rest[1:])]
        needed = {
            name: pem if given == PEM else given
            for name, given in {**NEEDED.get(key, {}), **BESIDE.get(rest[0], {})}.items()
            if name not in INSTEAD.get(rest[0], set())
        }
        return {**needed, rest[0].replace("*", "X-Any"): below(rest[0], rest[1:])}

    return below("", place.split("/"))


def is_asked(place: str, lacking: set[str]) -> bool:
    """Tell whether to test this place; not a service discovery that this build lacks.

    Those of Alertmanagers are the same as those of scrape jobs.
    """
    is_repeated = place.startswith("alerting") and "_sd_configs" in place
    return not is_repeated and lacking.isdisjoint(place.split("/"))


@cache
def version() -> str:
    """Return the version of the tests' Prometheus.

    A build without a version counts as the schema's newest.
    """
    argv = [program("prometheus"), "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = re.search(r"version ([0-9]+\.[0-9]+\.[0-9]+)", done.stdout + done.stderr)
    return found[1] if found else schema().versions[-1]
