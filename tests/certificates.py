"""Certificates for tests: a CA and certificates that it signs, by the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVER_NAMES = "IP:127.0.0.1,DNS:localhost,DNS:prometheus.test"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def paths(self) -> tuple[str, str]:
        """Both paths, as clients expect them."""
        return str(self.certificate), str(self.key)

    @property
    def serial(self) -> str:
        """The certificate's serial number."""
        done = _openssl("x509", "-in", str(self.certificate), "-noout", "-serial")
        return done.strip().partition("=")[2]


class Authority:
    """A CA in a folder.

    A bare CA makes certificates like old ones of clusters and companies: without key usage and key
    identifiers, which Go accepts and ``VERIFY_X509_STRICT`` refuses.
    """

    def __init__(self, folder: Path, name: str = "ca", *, is_bare: bool = False) -> None:
        self._folder = folder
        self._is_bare = is_bare
        folder.mkdir(parents=True, exist_ok=True)
        self.own = self._pair(name)
        arguments = ["-x509", "-days", "2", "-subj", f"/CN={name}"]
        if not is_bare:
            arguments += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        _openssl("req", *_new_key(self.own.key), *arguments, "-out", str(self.own.certificate))

    @property
    def file(self) -> Path:
        """The CA's certificate."""
        return self.own.certificate

    def issue(self, name: str, *, names: str = SERVER_NAMES, usage: str = "serverAuth") -> Pair:
        """Return a new certificate with its key, which replaces one with the same name."""
        pair = self._pair(name)
        request = self._folder / f"{name}.csr"
        _openssl("req", *_new_key(pair.key), "-subj", f"/CN={name}", "-out", str(request))
        extensions = self._folder / f"{name}.ext"
        lines = [f"subjectAltName={names}", f"extendedKeyUsage={usage}"]
        if not self._is_bare:
            lines += ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"]
        extensions.write_text("\n".join(lines))
        signing = ["-CA", str(self.own.certificate), "-CAkey", str(self.own.key), "-days", "2"]
        files = ["-in", str(request), "-extfile", str(extensions), "-out", str(pair.certificate)]
        _openssl("x509", "-req", *signing, *files)
        return pair

    def _pair(self, name: str) -> Pair:
        return Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")


def _new_key(path: Path) -> list[str]:
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    return [*kind, "-nodes", "-keyout", str(path)]


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    return done.stdout
