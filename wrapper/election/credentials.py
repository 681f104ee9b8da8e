"""Credentials for the API server: those of the pod's service account, or of a kubeconfig.

Tokens, passwords and certificates are read here. Plugins (``exec``, ``auth-provider``) are run by
the ``kubernetes`` package; only this module imports it, since it takes 20 MiB. The order is that of
client-go: a token is used before a plugin, and ``tokenFile`` before ``token``. Messages name what
is missing and never quote the files.
"""

from __future__ import annotations

import base64
import contextlib
import os

from wrapper.access.http_config import Basic, ClientTls, HttpConfig, Token
from wrapper.access.prometheus_access import Access, read_access
from wrapper.access.reloading_file import Reading
from wrapper.access.tls_values import Text
from wrapper.documents.problems import ConfigurationError
from wrapper.election.kubeconfig import ClusterAccess, NoAccess
from wrapper.election.lease_fields import Json


def load_plugins(cluster: ClusterAccess) -> None:
    """Import what runs a plugin, if one is named: later this would use up a request's timeout."""
    with contextlib.suppress(NoAccess):
        if _has_plugin(cluster.current()["user"]):
            import kubernetes.config  # noqa: F401, PLC0415 - heavy


def read_credentials(cluster: ClusterAccess, reading: Reading) -> Access:
    """Return the access that the files give now; raise NoAccess."""
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
    if _has_plugin(user):
        user = _of_plugin(cluster, current["name"])
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
    """Return KEY-data, which is base64, or the file that KEY names."""
    data = part.get(f"{key}-data")
    if not data:
        return Text(path=str(part.get(key) or ""))
    try:
        return Text(base64.b64decode(str(data)).decode())
    except ValueError:
        raise ConfigurationError([f"{key}-data is not base64"]) from None


# --- plugins ---


def _has_plugin(user: Json) -> bool:
    is_named = bool(user.get("exec") or user.get("auth-provider"))
    return is_named and not (user.get("token") or user.get("tokenFile"))


def _of_plugin(cluster: ClusterAccess, context: str) -> Json:
    """Return a user entry with the token, or certificate and key, that a plugin returns."""
    from kubernetes.client import Configuration  # noqa: PLC0415 - heavy, seldom used
    from kubernetes.config import load_kube_config  # noqa: PLC0415 - likewise

    given = Configuration()
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=os.pathsep.join(map(str, cluster.kubeconfigs)),
            context=context,
            client_configuration=given,
            persist_config=False,
        )
    except Exception as error:  # noqa: BLE001 - plugins may raise anything
        # Its messages quote whole entries, including secrets, after a brace.
        message = str(error).partition("{")[0].strip()
        message = message or f"the kubernetes package fails ({type(error).__name__})"
        raise ConfigurationError([message]) from None
    keys = given.api_key  # the package's older versions have another name for it
    token = (keys.get("BearerToken") or keys.get("authorization", "")).removeprefix("Bearer ")
    if not token and not given.cert_file:
        raise ConfigurationError(["its plugin returns no credentials: run it by hand to see why"])
    files = {"client-certificate": given.cert_file, "client-key": given.key_file}
    return {"token": token, **files}
