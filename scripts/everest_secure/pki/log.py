"""The log of a PKI directory: a JSON object a line for each certificate and revocation list, with who made it and when."""

import json
import os
import pwd
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from everest_secure.pki.change import Change
from everest_secure.pki.errors import PkiError

LOG_MODE = 0o644
MAX_BYTES = 64 * 1024 * 1024
"""A line has half a thousand bytes; this is a hundred thousand certificates."""


def certificate_line(what: str, name: str, certificate: x509.Certificate, *, now: datetime) -> dict[str, str]:
    """Return what the log says of a certificate: `what` happened to it, as `issue` or `revoke`."""
    return {
        **_head(what, name, now),
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_after": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "spki_sha256": spki_hash(certificate),
    }


def list_line(name: str, number: int, next_update: datetime, *, now: datetime) -> dict[str, str]:
    """Return what the log says of a revocation list of an authority."""
    return {**_head("crl", name, now), "number": str(number), "next_update": f"{next_update:%Y-%m-%dT%H:%M:%SZ}"}


def _head(what: str, name: str, now: datetime) -> dict[str, str]:
    return {"time": f"{now:%Y-%m-%dT%H:%M:%SZ}", "who": user(), "what": what, "name": name}


def user() -> str:
    """Return the login of who runs this, or the number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def spki_hash(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's public key (SubjectPublicKeyInfo), which stays when it is renewed."""
    encoded = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(encoded)
    return digest.finalize().hex()


def to_bytes(lines: Sequence[dict[str, str]]) -> bytes:
    """Return lines as they stand in the log."""
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def append(edit: Change, path: Path, lines: Sequence[dict[str, str]]) -> None:
    """Let a change add lines to a log; what stands in it stays byte by byte. Raises PkiError when it is no log."""
    edit.replace(path, _content(path) + to_bytes(lines), mode=LOG_MODE)


def _content(path: Path) -> bytes:
    if not path.exists():
        return b""
    if path.stat().st_size > MAX_BYTES:
        raise PkiError(f"{path} has more than {MAX_BYTES} bytes and is no log; move it away")
    content = path.read_bytes()
    return content if content.endswith(b"\n") or not content else content + b"\n"
