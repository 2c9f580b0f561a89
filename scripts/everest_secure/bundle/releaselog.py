"""The release log: a JSON object a line for each bundle that was signed, by whom, with what key, from what.

A line is added before the bundle gets its name: every bundle that is there stands in the log, and a line without a bundle is a command that was
interrupted between the two.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.pki.files import sync_directory
from everest_secure.pki.log import spki_hash, user

NAME = "release-log.jsonl"
LOG_MODE = 0o644
Line = Mapping[str, object]


def line(
    what: str,
    output: Path,
    info: BundleInfo,
    *,
    signer: x509.Certificate,
    now: datetime,
    sha256: str,
    source: Mapping[str, str] | None = None,
) -> Line:
    """Return what the log says of a bundle that was made (`create`) or signed again (`resign`, with name, digest and signer of its `source`)."""
    return {
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "who": user(),
        "what": what,
        "bundle": output.name,
        "sha256": sha256,
        "compatible": info.compatible,
        "version": info.version,
        "format": info.format,
        "root_hash": info.root_hash,
        "images": {image.slot_class: image.sha256 for image in info.images},
        "signer": signer.subject.rfc4514_string(),
        "serial": f"{signer.serial_number:x}",
        "spki_sha256": spki_hash(signer),
        **({"source": dict(source)} if source else {}),
    }


def append(path: Path, entry: Line) -> None:
    """Add a line to the log and bring it to the disk: whole or not at all, whoever else adds one at the same time.

    Raises BundleError when the log cannot be written to or does not end with a whole line; then it is as it was.
    """
    text = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    try:
        with _locked(path) as descriptor:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                raise BundleError(f"{path} does not end with a whole line; look at its last one, repair it and try again")
            _write(descriptor, text, size)
    except OSError as error:
        raise BundleError(f"the release log {path} cannot be written to: {error.strerror}; the bundle was not published") from None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, LOG_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
        sync_directory(path.parent)
    finally:
        os.close(descriptor)


def _write(descriptor: int, text: bytes, size: int) -> None:
    try:
        if os.write(descriptor, text) != len(text):
            os.ftruncate(descriptor, size)
            raise BundleError("the release log could not be written to its end; free some space and try again")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
