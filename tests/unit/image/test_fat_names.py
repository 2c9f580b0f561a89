"""Long names in FAT directories, damaged."""

from everest_secure.image.fat_names import LongName, short_name

SHORT = b"LONGNA~1TXT" + bytes(21)


def checksum(short: bytes) -> int:
    """As fatgen103 gives it, in C: an unsigned char rotated right, then added to."""
    total = 0
    for byte in short[:11]:
        total = (((total << 7) | (total >> 1)) + byte) % 256
    return total


def entry(number: int, text: str, *, check: int) -> bytes:
    raw = text.encode("utf-16-le").ljust(26, b"\xff")
    return bytes([number]) + raw[:10] + b"\x0f\0" + bytes([check]) + raw[10:22] + b"\0\0" + raw[22:26]


def test_parts_are_put_together_in_order() -> None:
    check = checksum(SHORT)
    name = LongName().add(entry(0x42, "rest.text\0", check=check)).add(entry(1, "long name and", check=check))
    assert name.of(SHORT) == "long name andrest.text"


def test_a_name_of_another_entry_is_not_taken() -> None:
    name = LongName().add(entry(0x41, "innocent.txt\0", check=checksum(SHORT) ^ 1))
    assert name.of(SHORT) is None


def test_a_name_with_a_missing_part_is_not_taken() -> None:
    check = checksum(SHORT)
    assert LongName().add(entry(0x43, "end\0", check=check)).add(entry(1, "begin", check=check)).of(SHORT) is None
    assert LongName().add(entry(0x42, "end\0", check=check)).of(SHORT) is None
    assert LongName().add(entry(1, "no end", check=check)).of(SHORT) is None


def test_short_names_have_the_case_that_is_noted() -> None:
    raw = bytearray(b"README  TXT" + bytes(21))
    assert short_name(bytes(raw)) == "README.TXT"
    raw[12] = 0x18
    assert short_name(bytes(raw)) == "readme.txt"
    raw[12] = 0x08
    assert short_name(bytes(raw)) == "readme.TXT"
    assert short_name(b"\x05NAME      " + bytes(21)) == "\xe5NAME".replace("\xe5", b"\xe5".decode("cp437"))
