"""Sectors encrypted by openssl, one at a time, as dm-crypt does."""

import os

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.image.dmcrypt import SECTOR, decrypted
from support.images import tool

KEY = bytes(range(32))


def encrypted(plain: bytes) -> bytes:
    found = []
    for sector in range(len(plain) // SECTOR):
        iv = (sector * 8).to_bytes(16, "little").hex()
        found.append(tool("openssl", "enc", "-aes-256-cbc", "-nopad", "-K", KEY.hex(), "-iv", iv, stdin=plain[sector * SECTOR :][:SECTOR]))
    return b"".join(found)


def test_any_part_is_what_was_encrypted() -> None:
    plain = os.urandom(5 * SECTOR)
    blob = decrypted(from_bytes(encrypted(plain), "payload"), KEY)
    for offset, length in ((0, 5 * SECTOR), (0, 1), (SECTOR - 1, 2), (SECTOR, SECTOR), (4 * SECTOR + 17, 100), (3, 4 * SECTOR), (7, 0)):
        assert blob.read(offset, length) == plain[offset : offset + length]


@pytest.mark.parametrize(("size", "key"), [(SECTOR + 1, KEY), (SECTOR, KEY[:-1])])
def test_what_cannot_be_sectors_is_refused(size: int, key: bytes) -> None:
    with pytest.raises(ArtefactError, match="impossible size"):
        decrypted(from_bytes(bytes(size), "payload"), key)
