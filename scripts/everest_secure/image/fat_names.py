"""Short and long names in a FAT directory (Microsoft FAT specification 1.03, section 7)."""

from dataclasses import dataclass

_LAST = 0x40
_LOWER_BASE = 0x08
_LOWER_EXTENSION = 0x10


@dataclass(frozen=True, slots=True)
class LongName:
    """The long-name entries met so far, which stand before their short entry, last part first."""

    parts: tuple[bytes, ...] = ()
    checksum: int = -1
    expected: int = 0
    """Number of the part that must come next; 0 when the name is complete, or was never begun."""

    def add(self, raw: bytes) -> "LongName":
        """Return the name with one more entry of 32 bytes; an entry out of order begins anew or is dropped."""
        number, checksum = raw[0] & 0x1F, raw[13]
        text = raw[1:11] + raw[14:26] + raw[28:32]
        if raw[0] & _LAST and number:
            return LongName((text,), checksum, number - 1)
        if number and number == self.expected and checksum == self.checksum:
            return LongName((text, *self.parts), checksum, number - 1)
        return LongName()

    def of(self, raw: bytes) -> str | None:
        """Return the long name of a short entry; None when it has none, or one that belongs to another entry."""
        if not self.parts or self.expected or self.checksum != _checksum(raw[:11]):
            return None
        return b"".join(self.parts).decode("utf-16-le", "surrogatepass").split("\0", 1)[0]


def short_name(raw: bytes) -> str:
    """Return the 8.3 name of an entry, in the case that Windows and Linux note in byte 12."""
    first = b"\xe5" if raw[0] == 0x05 else raw[:1]
    base = (first + raw[1:8]).rstrip(b" ").decode("cp437")
    extension = raw[8:11].rstrip(b" ").decode("cp437")
    base = base.lower() if raw[12] & _LOWER_BASE else base
    extension = extension.lower() if raw[12] & _LOWER_EXTENSION else extension
    return f"{base}.{extension}" if extension else base


def _checksum(short: bytes) -> int:
    total = 0
    for byte in short:
        total = ((total >> 1) + ((total & 1) << 7) + byte) & 0xFF
    return total
