"""dm-crypt's `aes-cbc-plain64` with sectors of 4096 bytes, as the payload of RAUC's crypt bundles has it (RAUC, `src/crypt.c`).

The initialisation vector is the sector's number, counted in units of 512 bytes, little-endian.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

SECTOR = 4096
_BLOCK = 16
_UNITS = SECTOR // 512


def decrypted(blob: Blob, key: bytes) -> Blob:
    """Return a blob that decrypts what is read of it; raises ArtefactError when `blob` is no whole number of sectors or `key` has not 32 bytes."""
    if blob.size % SECTOR or len(key) != 32:
        raise ArtefactError(
            f"{blob.name} is corrupt: its encrypted payload or the key of it has an impossible size; build or fetch it again"
        )
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - chained below, for many sectors in one call

    def fetch(offset: int, length: int) -> bytes:
        first, last = offset // SECTOR, -(-(offset + length) // SECTOR)
        encrypted = blob.read(first * SECTOR, (last - first) * SECTOR)
        decryptor = cipher.decryptor()
        raw = decryptor.update(encrypted) + decryptor.finalize()
        before = bytearray(bytes(_BLOCK) + encrypted[:-_BLOCK])
        for sector in range(first, last):
            at = (sector - first) * SECTOR
            before[at : at + _BLOCK] = (sector * _UNITS).to_bytes(_BLOCK, "little")
        plain = (int.from_bytes(raw, "little") ^ int.from_bytes(before, "little")).to_bytes(len(raw), "little")
        return plain[offset - first * SECTOR :][:length]

    return Blob(blob.name, blob.size, fetch)
