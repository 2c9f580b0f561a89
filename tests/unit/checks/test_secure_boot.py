"""Disks with EFI programs and FITs, signed by real tools, not signed, or signed by somebody else."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, registered, run_check
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.parameters import Parameters
from everest_secure.policy.profile import load_policy
from everest_secure.result import CheckResult
from support.authority import issue
from support.flat_image import FitKey, device_tree, fit_key, signed_fit
from support.images import efi_stub, gpt_disk, throw_away_signer, tool, unified_kernel
from support.rootfs import production


def judged(artefact: Artefact, policy: Parameters | None = None, *, bundle: bool = False) -> CheckResult:
    checks.load()
    subject = Bundle(artefact, ()) if bundle else Boot(artefact, ())
    (entry,) = [each for each in registered() if each.requirement == "BOOT-01" and (each.scope.name == "BUNDLE") is bundle]
    return run_check(entry, subject, "disk", policy or production())


def esp(directory: Path, *programs: Path, files: Sequence[tuple[str, str]] = ()) -> Path:
    image = directory / "esp.img"
    tool("mkfs.vfat", "-C", image, "8192")
    tool("mmd", "-i", image, "::/EFI", "::/EFI/Linux", "::/loader", "::/loader/entries", "::/extlinux")
    for number, program in enumerate(programs):
        tool("mcopy", "-i", image, program, f"::/EFI/Linux/{number}.efi")
    for name, text in files:
        (directory / "file").write_text(text)
        tool("mcopy", "-i", image, directory / "file", f"::{name}")
    return image


def disk(directory: Path, *programs: Path, files: Sequence[tuple[str, str]] = ()) -> Artefact:
    return open_artefact(gpt_disk(directory / "disk.raw", {"efi-a": esp(directory, *programs, files=files), "efi-b": None}))


@pytest.fixture
def signer(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("sbsign") is None:
        pytest.skip("sbsign is not installed")
    (tmp_path / "signer").mkdir()
    return throw_away_signer(tmp_path / "signer")


def signed(program: Path, signer: tuple[Path, Path], source: Path | None = None) -> Path:
    tool("sbsign", "--key", signer[0], "--cert", signer[1], "--output", program, source or efi_stub())
    return program


def trusting(*certificates: Path) -> Parameters:
    return replace(production(), secure_boot_certificates=certificates)


def whats(result: CheckResult) -> list[str]:
    assert result.outcome is not Outcome.ERROR, result.reason
    return [finding.what for finding in result.findings]


def test_programs_signed_by_the_db_s_certificate_hold(tmp_path: Path, signer: tuple[Path, Path]) -> None:
    uki = signed(tmp_path / "b.efi", signer, unified_kernel(tmp_path / "uki.efi", {".cmdline": b"ro", ".linux": b"kernel"}))
    image = disk(tmp_path, signed(tmp_path / "a.efi", signer), uki)
    for policy in (production(), trusting(signer[1])):
        result = judged(image, policy)
        assert (result.outcome, len(result.seen)) == (Outcome.PASS, 2)


def test_one_program_that_nobody_signed_is_found(tmp_path: Path, signer: tuple[Path, Path]) -> None:
    result = judged(disk(tmp_path, signed(tmp_path / "a.efi", signer), efi_stub()))
    assert whats(result) == ["it is an EFI program that nobody signed"]
    assert result.findings[0].at.artefact.endswith("/EFI/Linux/1.efi")


def test_a_program_that_was_altered_after_it_was_signed_is_found(tmp_path: Path, signer: tuple[Path, Path]) -> None:
    program = signed(tmp_path / "a.efi", signer)
    raw = bytearray(program.read_bytes())
    raw[0x1000] ^= 1
    program.write_bytes(raw)
    assert "was altered after it was signed" in whats(judged(disk(tmp_path, program)))[0]


def test_a_signer_that_is_not_in_the_db_is_found(tmp_path: Path, signer: tuple[Path, Path]) -> None:
    other = tmp_path / "other.pem"
    other.write_text(issue("Another db", days=30).pem)
    assert (
        "and not by a certificate of secure_boot_certificates"
        in whats(judged(disk(tmp_path, signed(tmp_path / "a.efi", signer)), trusting(other)))[0]
    )


def test_without_a_db_all_programs_have_to_be_of_one_signer(tmp_path: Path, signer: tuple[Path, Path]) -> None:
    (tmp_path / "other").mkdir()
    other = throw_away_signer(tmp_path / "other")
    found = whats(judged(disk(tmp_path, signed(tmp_path / "a.efi", signer), signed(tmp_path / "b.efi", other))))
    assert len(found) == 1
    assert "as the others are" in found[0]


def test_an_authority_in_the_db_vouches_for_the_signers_that_it_issued(tmp_path: Path) -> None:
    if shutil.which("sbsign") is None:
        pytest.skip("sbsign is not installed")
    authority = issue("Secure boot authority", authority=True, days=30)
    leaf = issue("Secure boot signer", by=authority, days=30)
    (tmp_path / "db.pem").write_text(authority.pem)
    (tmp_path / "leaf.pem").write_text(leaf.pem)
    (tmp_path / "leaf.key").write_text(leaf.key_pem)
    image = disk(tmp_path, signed(tmp_path / "a.efi", (tmp_path / "leaf.key", tmp_path / "leaf.pem")))
    assert judged(image, trusting(tmp_path / "db.pem")).outcome is Outcome.PASS


def test_a_development_certificate_is_for_the_workshop_alone(tmp_path: Path) -> None:
    if shutil.which("sbsign") is None:
        pytest.skip("sbsign is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    name = "/OU=DEVELOPMENT - NOT FOR RELEASE/CN=db"
    tool("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", name, "-days", "2")
    image = disk(tmp_path, signed(tmp_path / "a.efi", (key, certificate)))
    assert "is a certificate for development" in whats(judged(image, trusting(certificate)))[0]
    assert judged(image, replace(trusting(certificate), development_authorities=True)).outcome is Outcome.PASS


def test_a_disk_that_boots_a_kernel_without_a_signature_is_found(tmp_path: Path) -> None:
    menu = [("/extlinux/extlinux.conf", "LABEL a\n  LINUX /Image\n  APPEND ro\n")]
    assert "boots a kernel that nothing signs" in whats(judged(disk(tmp_path, files=menu)))[0]


EXTLINUX = ("/extlinux/extlinux.conf", "LABEL a\n  LINUX /Image\n  APPEND ro\n")


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (EXTLINUX, "boots a kernel that nothing signs"),
        (("/cmdline.txt", "ro"), "boots a kernel that nothing signs"),
        (("/boot.scr", "bootm"), "U-Boot's /boot.scr decides what boots"),
        (("/uEnv.txt", "bootcmd=run x"), "U-Boot's /uEnv.txt decides what boots"),
    ],
)
def test_what_leads_past_the_signed_programs_is_found(tmp_path: Path, signer: tuple[Path, Path], file: tuple[str, str], what: str) -> None:
    (found,) = whats(judged(disk(tmp_path, signed(tmp_path / "a.efi", signer), files=[file])))
    assert what in found


def test_a_kernel_that_systemd_boot_starts_is_judged_as_the_program_that_it_is(tmp_path: Path, signer: tuple[Path, Path]) -> None:
    entry = ("/loader/entries/a.conf", "linux /EFI/Linux/0.efi\noptions ro\n")
    assert judged(disk(tmp_path, signed(tmp_path / "a.efi", signer), files=[entry])).outcome is Outcome.PASS


@pytest.mark.parametrize("place", ["/a.efi", "/boot/kernel", "/EFI/BOOT/bootx64.efi"])
@pytest.mark.parametrize("partition", ["efi-a", "second"])
def test_an_unsigned_program_is_found_wherever_it_lies(tmp_path: Path, signer: tuple[Path, Path], place: str, partition: str) -> None:
    images = {}
    for name in ("efi-a", "second"):
        (tmp_path / name).mkdir()
        images[name] = esp(tmp_path / name, signed(tmp_path / f"{name}.efi", signer))
    tool("mmd", "-i", images[partition], "::/boot", "::/EFI/BOOT")
    tool("mcopy", "-i", images[partition], efi_stub(), f"::{place}")
    image = open_artefact(gpt_disk(tmp_path / "disk.raw", images))
    assert whats(judged(image, trusting(signer[1]))) == ["it is an EFI program that nobody signed"]


def test_an_unsigned_program_in_a_partition_of_an_mbr_is_found(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    part = esp(tmp_path, efi_stub())
    image.write_bytes(bytes(1 << 20) + part.read_bytes())
    tool("sfdisk", "--quiet", image, stdin=b"label: dos\n2048,16384,c\n")
    assert whats(judged(open_artefact(image))) == ["it is an EFI program that nobody signed"]


@pytest.mark.parametrize("behind", [b"x" * 8, bytes(8), b"\0" * 4096])
def test_nothing_may_lie_behind_a_signed_program(tmp_path: Path, signer: tuple[Path, Path], behind: bytes) -> None:
    program = signed(tmp_path / "a.efi", signer)
    program.write_bytes(program.read_bytes() + behind)
    assert len(whats(judged(disk(tmp_path, program), trusting(signer[1])))) == 1


def test_a_disk_with_nothing_to_boot_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    assert judged(disk(tmp_path)).outcome is Outcome.ERROR


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_db_that_cannot_be_read_is_an_error_and_never_a_pass(tmp_path: Path, signer: tuple[Path, Path], content: str | None) -> None:
    if content is not None:
        (tmp_path / "db.pem").write_text(content)
    result = judged(disk(tmp_path, signed(tmp_path / "a.efi", signer)), trusting(tmp_path / "db.pem"))
    assert result.outcome is Outcome.ERROR
    assert "secure_boot_certificates" in result.reason


def test_a_policy_file_names_certificates_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "my.yml").write_text(
        "extends: production\nparameters:\n  secure_boot_certificates: [keys/db.pem]\nadd:\n  secure_boot_certificates: [/k.pem]\n"
    )
    policy = load_policy(tmp_path / "my.yml", catalogue=load_catalogue())
    assert policy.parameters.secure_boot_certificates == (tmp_path / "keys/db.pem", Path("/k.pem"))


def test_boot_partitions_of_a_bundle_are_judged_as_well(tmp_path: Path) -> None:
    unsigned = Artefact("a.raucb", "rauc-bundle", children=(open_artefact(esp(tmp_path, efi_stub())),))
    assert whats(judged(unsigned, bundle=True)) == ["it is an EFI program that nobody signed"]
    assert judged(Artefact("a.raucb", "rauc-bundle"), bundle=True).outcome is Outcome.NOT_APPLICABLE


@pytest.fixture
def fit(tmp_path: Path) -> tuple[FitKey, Path]:
    key = fit_key(tmp_path / "key")
    return key, signed_fit(tmp_path / "fit", key)


def fit_disk(directory: Path, fit: Path, *others: Path) -> Artefact:
    return open_artefact(gpt_disk(directory / "disk.raw", {"fit-a": fit} | {f"p{number}": other for number, other in enumerate(others)}))


def test_a_fit_is_verified_with_the_key_that_the_policy_names(tmp_path: Path, fit: tuple[FitKey, Path]) -> None:
    key, image = fit
    certificate = key.directory / f"{key.name}.crt"
    assert judged(fit_disk(tmp_path, image), trusting(certificate)).outcome is Outcome.PASS
    other = fit_key(tmp_path / "other")
    assert len(whats(judged(fit_disk(tmp_path, image), trusting(other.directory / "everest.crt")))) == 2


def test_a_fit_is_verified_with_the_key_that_u_boot_s_device_tree_requires(tmp_path: Path, fit: tuple[FitKey, Path]) -> None:
    key, image = fit
    assert judged(fit_disk(tmp_path, image, key.tree)).outcome is Outcome.PASS
    assert len(whats(judged(fit_disk(tmp_path, signed_fit(tmp_path / "unsigned", None), key.tree)))) == 2


def test_a_fit_without_configurations_has_no_signature(tmp_path: Path, fit: tuple[FitKey, Path]) -> None:
    key, image = fit
    tool("fdtput", "-r", image, "/configurations/conf-a", "/configurations/conf-b")
    assert whats(judged(fit_disk(tmp_path, image, key.tree))) == ["it is a FIT without configurations"]


def test_a_fit_is_signed_with_every_key_that_u_boot_requires_unless_any_will_do(tmp_path: Path, fit: tuple[FitKey, Path]) -> None:
    key, image = fit
    other = fit_key(tmp_path / "other", name="other")
    signed_fit(tmp_path / "scratch", replace(other, tree=key.tree))  # which puts the other key into the tree, beside the first
    assert "not that of the required key" in whats(judged(fit_disk(tmp_path, image, key.tree)))[0]
    tool("fdtput", "-t", "s", key.tree, "/signature", "required-mode", "any")
    assert judged(fit_disk(tmp_path, image, key.tree)).outcome is Outcome.PASS


def test_a_fit_does_not_say_itself_by_which_key_it_is_verified(tmp_path: Path) -> None:
    key = fit_key(tmp_path / "key")
    signed_fit(tmp_path / "first", key)  # which puts the key into the tree that becomes a part of the second
    result = judged(fit_disk(tmp_path, signed_fit(tmp_path / "fit", key, slots=key.tree)))
    assert result.outcome is Outcome.ERROR
    assert "name its certificate under secure_boot_certificates" in result.reason


def test_a_key_that_u_boot_does_not_require_says_nothing(tmp_path: Path, fit: tuple[FitKey, Path]) -> None:
    plain = device_tree(tmp_path / "plain.dtb", "/ { signature { }; };")
    for others in ((), (plain,)):
        result = judged(fit_disk(tmp_path, fit[1], *others))
        assert result.outcome is Outcome.ERROR
        assert "name its certificate under secure_boot_certificates" in result.reason
