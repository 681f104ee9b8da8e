"""Credentials for the API server, from the pod's service account or from a kubeconfig.

Tokens, passwords and certificates are read here. As in client-go, a token takes precedence over a
plugin (``exec``), and ``tokenFile`` over ``token``. Error messages name what is missing, and never
quote the files.
"""

from __future__ import annotations

import base64

from wrapper.access.http_config import Basic, ClientTls, HttpConfig, Token
from wrapper.access.prometheus_access import Access, read_access
from wrapper.access.reloading_file import Reading
from wrapper.access.tls_values import Text
from wrapper.documents.problems import ConfigurationError
from wrapper.election.exec_plugin import credentials_of_plugin
from wrapper.election.kubeconfig import ClusterAccess, NoAccess
from wrapper.election.lease_fields import Json


def read_credentials(cluster: ClusterAccess, reading: Reading) -> Access:
    """Return the TLS settings and credentials in the files' current state; raise NoAccess."""
    try:
        if cluster.kubeconfigs:
            return read_access(_of_kubeconfig(cluster, reading), reading)
        return read_access(_of_pod(cluster), reading)
    except ConfigurationError as error:
        problem = "; ".join(error.problems)
        if cluster.kubeconfigs:
            text = f"the kubeconfig {cluster.credentials} cannot be used: {problem}"
        else:
            cause, cure = problem.partition(";")[0], "mount a service account's token"
            text = f"the pod's {cause}; {cure}, or name a kubeconfig"
        raise NoAccess(text) from None


def _of_pod(cluster: ClusterAccess) -> HttpConfig:
    token, authority = (str(cluster.service_account / name) for name in ("token", "ca.crt"))
    tls = ClientTls(ca=Text(path=authority))
    return HttpConfig(Token("Bearer", Text(path=token)), tls)


def _of_kubeconfig(cluster: ClusterAccess, reading: Reading) -> HttpConfig:
    current = cluster.current(reading)
    server, user = current["cluster"], current["user"]
    if not (user.get("token") or user.get("tokenFile")):
        user = _of_plugin(user, server, reading)
    if not server["server"].lower().startswith("https:"):
        return HttpConfig(_credentials(user))
    tls = ClientTls(
        ca=_text(server, "certificate-authority"),
        certificate=_text(user, "client-certificate"),
        key=_text(user, "client-key"),
        server_name=str(server.get("tls-server-name") or ""),
        is_unverified=server.get("insecure-skip-tls-verify") is True,
    )
    return HttpConfig(_credentials(user), tls)


def _credentials(user: Json) -> Basic | Token | None:
    if user.get("tokenFile"):
        return Token("Bearer", Text(path=user["tokenFile"]))
    if user.get("token"):
        return Token("Bearer", Text(str(user["token"]).strip()))
    if user.get("username"):
        return Basic(Text(str(user["username"])), Text(str(user.get("password") or "")))
    return None


def _text(part: Json, key: str) -> Text:
    """Return the content of KEY-data, which is base64, or the file that KEY names."""
    data = part.get(f"{key}-data")
    if not data:
        return Text(path=str(part.get(key) or ""))
    try:
        return Text(base64.b64decode(str(data)).decode())
    except ValueError:
        raise ConfigurationError([f"{key}-data is not base64"]) from None


def _of_plugin(user: Json, server: Json, reading: Reading) -> Json:
    """Return the user with the credentials of its plugin, if it names one."""
    if user.get("exec"):
        return user | credentials_of_plugin(user["exec"], server, reading)
    if user.get("auth-provider"):
        problem = "auth-provider is not supported: name a plugin by exec, as Kubernetes 1.26 needs"
        raise ConfigurationError([problem])
    return user
