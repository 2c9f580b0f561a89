"""Where a secret is found that should be nowhere."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from everest_secure.pki import keys

ZSTANDARD = b"\x28\xb5\x2f\xfd"


def leaks(directory: Path, *, key: Path, texts: tuple[str, ...] = ()) -> list[Path]:
    """Return the files below a directory that hold one of the texts, or the secret number of a P-256 key: binary, hexadecimal or as in its PEM file."""
    private = keys.load(key)
    assert isinstance(private, EllipticCurvePrivateKey), "what is looked for is one number"
    number = private.private_numbers().private_value.to_bytes(32, "big")
    second_line = key.read_bytes().splitlines()[2]  # the first ends within the number, the last holds the public key alone
    needles = [number, number.hex().encode(), second_line, *(text.encode() for text in texts)]
    return [file for file, content in contents(directory) if any(needle in content for needle in needles)]


def contents(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield each file with its bytes, those of BitBake's signature data decompressed."""
    for file in sorted(directory.rglob("*")):
        if file.is_symlink() or not file.is_file():
            continue
        content = file.read_bytes()
        if content.startswith(ZSTANDARD):
            content = subprocess.run(["zstd", "--decompress", "--stdout", "--quiet", str(file)], check=True, capture_output=True).stdout
        yield file, content
