"""Where a secret is found that should be nowhere."""

import base64
import re
from pathlib import Path


def leaks(directory: Path, *, key: Path, texts: tuple[str, ...] = ()) -> list[Path]:
    """Return the files below a directory that hold one of the texts, or a part of a PEM key's bytes: as base64, binary or hexadecimal."""
    body = "".join(re.findall(r"^[A-Za-z0-9+/=]+$", key.read_text(), re.MULTILINE))
    secret = base64.b64decode(body)[-48:-16]
    """Inside of the key proper: ahead of it PKCS#8 says the algorithm, which many files do."""
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-----")]
    needles = [secret, secret.hex().encode(), lines[-2][-32:].encode(), *(text.encode() for text in texts)]
    return [file for file in sorted(directory.rglob("*")) if file.is_file() and any(needle in file.read_bytes() for needle in needles)]
