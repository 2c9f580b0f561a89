"""Signed EFI programs: would firmware with a certificate in its db start them, by BOOT-01 and by sbverify."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure import checks
from everest_secure.checks.core import Boot, Outcome, registered, run_check
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.pe import read_program
from support.authority import Pair, issue
from support.images import efi_stub, gpt_disk, tool
from support.reference import require
from support.rootfs import production


def pair(name: str, *, by: Pair | None = None, authority: bool = False, days: int = 365, age: int = 1) -> Pair:
    """Issue with an RSA key, the only kind that sbsign takes."""
    return issue(name, by=by, authority=authority, days=days, age=age, key=rsa.generate_private_key(65537, 2048))


ROOT = pair("Root", authority=True)
SUB = pair("Sub", by=ROOT, authority=True)
CERTIFICATES = {
    "first": pair("First"),
    "second": pair("Second"),
    "first's double": pair("First"),
    "leaf": pair("Leaf", by=SUB),
    "expired": pair("Expired", days=1, age=9),
    "sub": SUB,
    "root": ROOT,
}
PROGRAMS: dict[str, tuple[str, ...]] = {
    "nobody": (),
    "once": ("first",),
    "twice": ("first", "second"),
    "twice, the other way": ("second", "first"),
    "by a leaf of an authority": ("leaf",),
    "by an authority's leaf and another": ("second", "leaf"),
    "by one that expired": ("expired",),
}
"""Who signed, one after the other."""


def at_signature(number: int) -> Callable[[bytes], bytes]:
    """Return what flips a bit of the signature value of one certificate-table entry."""

    def damage(content: bytes) -> bytes:
        program = read_program(from_bytes(content, "x"))
        assert program is not None
        data = program.certificates[number].data
        at = content.index(data, program.table_offset) + len(data.rstrip(b"\0")) - 20
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return damage


def in_code(content: bytes) -> bytes:
    program = read_program(from_bytes(content, "x"))
    assert program is not None
    at = program.sections[0].raw_offset + 10
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "the first signature": at_signature(0),
    "the second signature": at_signature(1),
    "its code": in_code,
    "what lies behind it": lambda content: content + bytes(8),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every program signed by all of its signers, with certificates and keys beside them."""
    require("sbsign", "sbverify", "mkfs.vfat", "mcopy")
    place = tmp_path_factory.mktemp("efi")
    for name, each in CERTIFICATES.items():
        (place / f"{name}.pem").write_text(each.pem)
        (place / f"{name}.key").write_text(each.key_pem)
    for name, signers in PROGRAMS.items():
        (place / name).write_bytes(efi_stub().read_bytes())
        for signer in signers:
            more = ["--addcert", str(place / "sub.pem")] if signer == "leaf" else []
            tool(
                "sbsign", "--key", place / f"{signer}.key", "--cert", place / f"{signer}.pem", *more, "--output", place / name, place / name
            )
    return place


def ours(program: Path, certificate: Path, place: Path) -> bool:
    checks.load()
    tool("mkfs.vfat", "-C", place / "esp", "1024")
    tool("mcopy", "-i", place / "esp", program, "::/a.efi")
    disk = open_artefact(gpt_disk(place / "disk", {"efi-a": place / "esp"}))
    (entry,) = [each for each in registered() if each.function.__name__ == "nothing_unsigned_boots"]
    return run_check(entry, Boot(disk, ()), "d", replace(production(), secure_boot_certificates=(certificate,))).outcome is Outcome.PASS


def theirs(program: Path, certificate: Path, signers: tuple[str, ...]) -> bool:
    """Whether sbverify accepts the signatures, and OpenSSL a chain under the flags of firmware (edk2, CryptPkcs7VerifyCommon.c, Pkcs7Verify).

    sbverify alone lets an authority that came along stand for itself, whatever certificate it was given.
    """
    if subprocess.run(["sbverify", "--cert", certificate, program], capture_output=True, check=False).returncode:
        return False
    flags: list[str | Path] = ["-partial_chain", "-no_check_time", "-purpose", "any", "-no-CApath", "-no-CAstore"]
    place = certificate.parent
    chain: list[str | Path] = ["-CAfile", certificate, "-untrusted", place / "sub.pem"]
    asked = (["openssl", "verify", *flags, *chain, place / f"{signer}.pem"] for signer in signers)
    return any(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in asked)


@pytest.mark.parametrize("certificate", CERTIFICATES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_sbverify_and_we_agree_on_who_signed(work: Path, tmp_path: Path, program: str, certificate: str) -> None:
    verdict = theirs(work / program, work / f"{certificate}.pem", PROGRAMS[program])
    assert ours(work / program, work / f"{certificate}.pem", tmp_path) is verdict


@pytest.mark.parametrize("certificate", ["first", "second"])
@pytest.mark.parametrize("part", DAMAGE)
def test_sbverify_and_we_agree_on_what_was_altered(work: Path, tmp_path: Path, part: str, certificate: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(DAMAGE[part]((work / "twice").read_bytes()))
    verdict = theirs(program, work / f"{certificate}.pem", PROGRAMS["twice"])
    assert ours(program, work / f"{certificate}.pem", tmp_path) is verdict
