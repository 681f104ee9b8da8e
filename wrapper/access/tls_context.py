"""Creates the TLS contexts of servers and clients from TLS settings.

``kind`` is the class of the context; None for that of ``ssl``. gevent has its own class.

Guarantee: each file is read once, by the function ``read``, and OpenSSL gets exactly that content.
OpenSSL never prompts for a passphrase.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator

from wrapper.access.http_config import ClientTls
from wrapper.access.tls_values import Text, Versions
from wrapper.access.web_config import ClientAuth, ServerTls
from wrapper.documents.problems import ConfigurationError

Read = Callable[[str], bytes]
ContextKind = type[ssl.SSLContext]


def server_context(tls: ServerTls, read: Read, kind: ContextKind | None = None) -> ssl.SSLContext:
    """Return a server's context; raise ConfigurationError.

    Unless ``client_auth`` is NONE, a client's certificate is requested and verified. A client
    without one may still connect; the caller decides what it may do.
    """
    context = (kind or ssl.SSLContext)(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, tls.versions)
    _load_pair(context, tls.certificate, tls.key, read)
    if tls.ciphers:
        context.set_ciphers(":".join(tls.ciphers))
    if tls.curve:
        context.set_ecdh_curve(tls.curve)
    if not tls.prefers_server_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.client_auth is not ClientAuth.NONE:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.num_tickets = 0  # so that the certificate is verified at each connection
        _load_authorities(context, tls.client_ca, read, ssl.Purpose.CLIENT_AUTH)
    return context


def client_context(tls: ClientTls, read: Read, kind: ContextKind | None = None) -> ssl.SSLContext:
    """Return a client's context; raise ConfigurationError."""
    context = (kind or ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    _set_versions(context, tls.versions)
    if tls.certificate:
        _load_pair(context, tls.certificate, tls.key, read)
    if tls.is_unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _load_authorities(context, tls.ca, read, ssl.Purpose.SERVER_AUTH)
    return context


def _set_versions(context: ssl.SSLContext, versions: Versions) -> None:
    context.minimum_version = ssl.TLSVersion(versions.lowest)
    context.maximum_version = ssl.TLSVersion(versions.highest)


def _content(text: Text, read: Read) -> bytes:
    return read(text.path) if text.path else text.inline.encode()


def _load_pair(context: ssl.SSLContext, certificate: Text, key: Text, read: Read) -> None:
    chain, secret = _content(certificate, read), _content(key, read)
    try:
        with _as_file(chain) as chain_file, _as_file(secret) as secret_file:
            context.load_cert_chain(chain_file, secret_file, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        names = " and ".join(filter(None, (certificate.path, key.path))) or "cert and key"
        raise ConfigurationError([f"{names}: {_reason(error)}"]) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted, and no passphrase can be entered; decrypt it")


def _load_authorities(context: ssl.SSLContext, ca: Text, read: Read, purpose: ssl.Purpose) -> None:
    if not ca:
        context.load_default_certs(purpose)
        return
    # Only comments have other characters: OpenSSL ignores them, but Python refuses them.
    text = _content(ca, read).decode("ascii", errors="ignore")
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        reason = "no readable certificate in it; it must be PEM"
        raise ConfigurationError([f"{ca.path or 'the CA'}: {reason}"]) from error


def _reason(error: Exception) -> str:
    """Return why a certificate and its key cannot be used."""
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not match the certificate; check whether a renewal is in progress"
    if isinstance(error, ssl.SSLError):
        return f"no readable certificate and key ({reason or 'not PEM'}); both must be PEM"
    return str(error)


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Provide a path to a file in memory: OpenSSL reads certificates only from paths."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
