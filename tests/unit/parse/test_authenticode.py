"""EFI programs signed by sbsign and osslsigncode, damaged, and judged by us and by sbverify."""

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.image.pe import EfiProgram, read_program
from everest_secure.parse.authenticode import EfiSignature, verify_program
from support.images import efi_stub, throw_away_signer, tool


@pytest.fixture(scope="module", params=["sbsign", "osslsigncode"])
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed program, with its certificate beside it."""
    if shutil.which(request.param) is None or shutil.which("sbverify") is None:
        pytest.skip(f"{request.param} or sbverify is not installed")
    work = tmp_path_factory.mktemp(request.param)
    key, certificate = throw_away_signer(work)
    program = work / "program.efi"
    if request.param == "sbsign":
        tool("sbsign", "--key", key, "--cert", certificate, "--output", program, efi_stub())
    else:
        tool("osslsigncode", "sign", "-h", "sha256", "-key", key, "-certs", certificate, "-in", efi_stub(), "-out", program)
    return program


def parsed(content: bytes) -> EfiProgram:
    program = read_program(from_bytes(content, "program.efi"))
    assert program is not None
    return program


def verified(content: bytes) -> tuple[list[EfiSignature], list[str]]:
    return verify_program(from_bytes(content, "program.efi"), parsed(content))


def accepted_by_sbverify(program: Path, certificate: Path) -> bool:
    return subprocess.run(["sbverify", "--cert", certificate, program], capture_output=True, check=False).returncode == 0


def test_a_signature_that_holds_names_its_signer(signed: Path) -> None:
    held, faults = verified(signed.read_bytes())
    assert faults == []
    assert [each.signer.subject.rfc4514_string() for each in held] == ["CN=test"]
    assert accepted_by_sbverify(signed, signed.parent / "cert.pem")


def test_sbverify_and_we_agree_wherever_a_byte_is_changed(signed: Path, tmp_path: Path) -> None:
    whole = signed.read_bytes()
    program = parsed(whole)
    text = program.sections[0].raw_offset
    places = [
        text,
        text + 100,
        program.sections[-1].raw_offset + 3,
        program.headers_size - 1,
        program.checksum_offset,
        program.table_offset - 1,
    ]
    places += [program.table_offset + at for at in (60, 200, 400, program.table_size - 20)]
    verdicts = []
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (tmp_path / "program.efi").write_bytes(damaged)
        held, faults = verified(bytes(damaged))
        assert bool(held) is accepted_by_sbverify(tmp_path / "program.efi", signed.parent / "cert.pem"), at
        assert bool(held) is not bool(faults)
        verdicts.append(bool(held))
    assert verdicts[:4] == [False] * 4
    assert verdicts[4], "the check sum of the file is not signed"


def test_two_signatures_are_both_found(signed: Path, tmp_path: Path) -> None:
    key, certificate = throw_away_signer(tmp_path)
    tool("sbsign", "--key", key, "--cert", certificate, "--output", tmp_path / "twice.efi", signed)
    held, faults = verified((tmp_path / "twice.efi").read_bytes())
    assert (len(held), faults) == (2, [])


def test_what_is_appended_behind_the_signature_is_noticed(signed: Path) -> None:
    held, faults = verified(signed.read_bytes() + b"appended")
    assert held == []
    assert "behind its certificate table" in faults[0]


def with_table(whole: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Put another certificate table, which no digest covers, into a signed program, and its size into the headers."""
    program = parsed(whole)
    table = change(whole[program.table_offset :])
    made = bytearray(whole[: program.table_offset] + table)
    struct.pack_into("<II", made, program.directory_offset, program.table_offset, len(table))
    return bytes(made)


def longer(table: bytes) -> bytes:
    """Return the table with 8 bytes more in its entry."""
    return struct.pack("<I", len(table) + 8) + table[4:] + b"payload!"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (longer, "signature"),
        (lambda table: table + struct.pack("<IHH8s", 16, 0x200, 0x1234, b"payload!"), "holds something else than certificates"),
        (lambda table: table + b"payload!", "corrupt"),
    ],
)
def test_nothing_is_hidden_in_the_certificate_table(signed: Path, change: Callable[[bytes], bytes], what: str) -> None:
    try:
        held, faults = verified(with_table(signed.read_bytes(), change))
    except ArtefactError as error:
        held, faults = [], [str(error)]
    assert held == []
    assert what in faults[0]


def test_a_table_that_is_made_smaller_does_not_make_its_end_a_part_of_the_program(signed: Path) -> None:
    whole = bytearray(signed.read_bytes())
    program = parsed(bytes(whole))
    struct.pack_into("<II", whole, program.directory_offset, program.table_offset, program.table_size - 8)
    with pytest.raises(ArtefactError, match="corrupt"):
        verified(bytes(whole))


def test_a_program_without_certificates_has_neither_signatures_nor_faults() -> None:
    assert verified(efi_stub().read_bytes()) == ([], [])


def test_a_signature_by_a_broken_digest_does_not_count(tmp_path: Path) -> None:
    if shutil.which("osslsigncode") is None:
        pytest.skip("osslsigncode is not installed")
    key, certificate = throw_away_signer(tmp_path)
    tool("osslsigncode", "sign", "-h", "sha1", "-key", key, "-certs", certificate, "-in", efi_stub(), "-out", tmp_path / "old.efi")
    held, faults = verified((tmp_path / "old.efi").read_bytes())
    assert held == []
    assert "SHA1" in faults[0]


def test_sections_that_overlap_are_refused_instead_of_hashed_again_and_again(signed: Path) -> None:
    whole = bytearray(signed.read_bytes())
    program = parsed(bytes(whole))
    at = whole.index(b".text\0\0\0") + 16
    struct.pack_into("<II", whole, at, program.table_offset - 64, 64)
    assert "overlap" in verified(bytes(whole))[1][0]
