"""Disks with real verity roots and UKIs: what the command line says of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Scope, registered, run_check
from everest_secure.checks.subjects import find_subjects
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.verity import Verity
from everest_secure.parse.boot_entries import boot_entries
from everest_secure.result import CheckResult
from support.flat_image import fit_key, signed_fit
from support.images import gpt_disk, signed_program, silent_stub, tool, unified_kernel, verity_image
from support.reference import require
from support.rootfs import production

GOOD = "ro lockdown=integrity systemd.import_credentials=no usbcore.authorized_default=0 roothash={hash} systemd.verity_root_data=PARTLABEL=rootfs-a quiet"
ADDONS = "/EFI/Linux/everest-a.efi.extra.d"
"""Where systemd-stub looks for addons of one UKI; those of all lie in /loader/addons."""


@pytest.fixture(scope="module")
def slot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A squashfs with its verity tree, and the root hash."""
    work = tmp_path_factory.mktemp("slot")
    for name in ("usr/bin", "etc"):
        (work / "root" / name).mkdir(parents=True)
    (work / "root/usr/bin/tool").write_bytes(bytes(range(256)) * 400)
    tool("mksquashfs", work / "root", work / "root.img", "-quiet", "-no-progress", "-comp", "gzip", "-noD", "-noF")
    return work / "root.img", verity_image(work / "root.img").hex()


def disk(
    directory: Path,
    slot: tuple[Path, str],
    line: str,
    *,
    entry: str = "",
    signed: bool = True,
    addon: tuple[str, bytes] | None = None,
    listed: bool = True,
    place: str = ADDONS,
    environment: Path | None = None,
) -> dict[str, list[CheckResult]]:
    sections = {".cmdline": line.format(hash=slot[1]).encode(), ".linux": b"kernel" * 100}
    uki = unified_kernel(directory / "everest-a.efi", sections, stub=silent_stub(directory))
    if signed:
        signed_program(uki)
    esp = directory / "esp.img"
    tool("mkfs.vfat", "-C", esp, "16384")
    tool("mmd", "-i", esp, "::/EFI", "::/EFI/Linux", "::/loader", "::/loader/entries")
    tool("mcopy", "-i", esp, uki, "::/EFI/Linux/everest-a.efi")
    if entry:
        (directory / "entry.conf").write_text(entry.format(hash=slot[1]))
        tool("mcopy", "-i", esp, directory / "entry.conf", "::/loader/entries/entry.conf")
    if addon:
        made = unified_kernel(directory / "x.addon.efi", dict([addon]))
        tool("sbsign", "--key", directory / "key.pem", "--cert", directory / "cert.pem", "--output", made, made)
        tool("mmd", "-i", esp, *(f"::{path}" for path in (ADDONS, "/loader/addons")))
        tool("mcopy", "-i", esp, made, f"::{place}/x.addon.efi")
    image = gpt_disk(
        directory / "disk.raw", {"efi-a": esp, "rootfs-a": slot[0], "rootfs-b": None} | ({"uboot-env": environment} if environment else {})
    )
    allowed = [tool("sha256sum", stdin=addon[1]).split()[0].decode()] if addon and listed else []
    policy = replace(production(), addon_sections=tuple(allowed))
    checks.load()
    ((_, boot),) = [entry for scope, entries in find_subjects([open_artefact(image)]).items() if scope.name == "BOOT" for entry in entries]
    entries = [each for each in registered() if each.scope.name == "BOOT"]
    found: dict[str, list[CheckResult]] = {}
    for each in entries:
        found.setdefault(each.requirement, []).append(run_check(each, boot, "disk.raw", policy))
    return found


def broken(results: dict[str, list[CheckResult]]) -> set[str]:
    assert Outcome.ERROR not in {result.outcome for each in results.values() for result in each}, results
    outcomes = {requirement: {result.outcome for result in each} for requirement, each in results.items()}
    return {requirement for requirement, found in outcomes.items() if Outcome.FAIL in found or Outcome.PASS not in found}


def test_a_signed_command_line_that_names_the_hash_of_its_root_holds(slot: tuple[Path, str], tmp_path: Path) -> None:
    results = disk(tmp_path, slot, GOOD)
    assert broken(results) == set()
    assert {"FS-01", "FS-02", "NET-07", "NET-08", "BOOT-01", "BOOT-02", "BOOT-03"} <= set(results)
    assert slot[1] in results["FS-02"][0].seen[0]


@pytest.mark.parametrize(
    ("line", "requirements"),
    [
        (GOOD.replace("ro ", "rw "), {"FS-01"}),
        (GOOD + " -- rw", {"FS-01"}),
        (GOOD.replace("roothash={hash}", "roothash=" + "00" * 32), {"FS-02"}),
        (GOOD.replace("roothash={hash} ", ""), {"FS-02"}),
        (GOOD + " roothash=" + "00" * 32, {"FS-02"}),
        (GOOD.replace("lockdown=integrity ", ""), {"BOOT-03"}),
        (GOOD.replace("lockdown=integrity ", "") + " -- lockdown=integrity", {"BOOT-03"}),
        (GOOD + " lockdown=none", {"BOOT-03"}),
        (GOOD.replace("systemd.import_credentials=no ", ""), {"BOOT-03"}),
        (GOOD + " systemd.import_credentials", {"BOOT-03"}),
        (GOOD.replace("usbcore.authorized_default=0 ", ""), {"NET-08"}),
        (GOOD.replace("usbcore.authorized_default=0 ", "") + " -- usbcore.authorized_default=0", {"NET-08"}),
        (GOOD + " usbcore.authorized_default=1", {"NET-08"}),
        (GOOD + " init=/bin/sh", {"BOOT-03", "NET-07"}),
        (GOOD + " systemd.debug_shell", {"BOOT-03", "NET-07"}),
        (GOOD + " systemd.unit=rescue.target", {"NET-07"}),
        (GOOD + " single", {"NET-07"}),
        (GOOD + " systemd.unit=factory.target", {"NET-06"}),
        (GOOD + " 5", {"NET-06"}),
        (GOOD + " systemd.run=/bin/sh", {"BOOT-03"}),
        (GOOD + " systemd.wants=a.service", {"BOOT-03"}),
        (GOOD + " systemd.default_standard_output=null", {"LOG-02"}),
        (GOOD + " systemd.journald.max_level_store=emerg", {"LOG-02"}),
        (GOOD + " mitigations=off", {"KERN-01"}),
        (GOOD + " nokaslr", {"KERN-01"}),
        (GOOD + " module.sig_enforce=0", {"KERN-01"}),
        (GOOD + " systemd.watchdog_sec=0", {"BOOT-05"}),
        (GOOD + " systemd.watchdog_device=/dev/null", {"BOOT-05"}),
        (GOOD + " i6300esb.nowayout=0", {"BOOT-05"}),
        (GOOD + " root=/dev/sda2", {"FS-02"}),
        (GOOD + " root=PARTLABEL=rootfs-a", {"FS-02"}),
        (GOOD + " systemd.verity=no", {"FS-02"}),
        (GOOD + " rd.systemd.verity=0", {"FS-02"}),
        (GOOD + " systemd.verity_root_options=ignore-corruption", {"FS-02"}),
        (GOOD + " systemd.verity_root_options=hash-offset=4096,check-at-most-once", {"FS-02"}),
        (GOOD + " rd.systemd.verity_root_options=ignore-corruption", {"FS-02"}),
        (GOOD + " rd.roothash=" + "00" * 32, {"FS-02"}),
        (GOOD + " mount.usr=PARTLABEL=usr mount.usrfstype=ext4", {"FS-02"}),
        (GOOD + " systemd.volatile=overlay", {"FS-01"}),
        (GOOD + " systemd.volatile", {"FS-01"}),
        (GOOD + " rd.systemd.break=pre-mount", {"BOOT-03"}),
        (GOOD + " systemd.crash_shell", {"BOOT-03"}),
        (GOOD + " systemd.confirm-spawn=/dev/ttyS0", {"BOOT-03"}),
        (GOOD + " systemd.mount-extra=PARTLABEL=apps:/opt:ext4", {"BOOT-03"}),
        (GOOD + " rd.systemd.import_credentials=yes", {"BOOT-03"}),
        (GOOD + " systemd.service_watchdogs=off", {"BOOT-05"}),
        (GOOD + " systemd.watchdog-device=/dev/null", {"BOOT-05"}),
        (GOOD + " systemd.volatile=no systemd.crash_shell=no systemd.service_watchdogs rd.systemd.verity=yes", set()),
        (GOOD + " systemd.mask=everest-firewall.service", {"BOOT-03"}),
        (GOOD + " systemd.set_credential=passwd.plaintext-password.root:x", {"BOOT-03"}),
    ],
)
def test_one_fault_in_the_command_line_fails_its_requirements(
    slot: tuple[Path, str], tmp_path: Path, line: str, requirements: set[str]
) -> None:
    assert broken(disk(tmp_path, slot, line)) == requirements


@pytest.mark.parametrize(("text", "requirements"), [("BOOT_ORDER=A B\nbootdelay=-2\n", set()), ("bootargs=init=/bin/sh\n", {"BOOT-03"})])
def test_a_command_line_that_u_boot_saved_is_no_signed_one(
    slot: tuple[Path, str], tmp_path: Path, text: str, requirements: set[str]
) -> None:
    require("mkenvimage")
    (tmp_path / "text").write_text(text)
    tool("mkenvimage", "-r", "-s", "0x4000", "-o", tmp_path / "env", tmp_path / "text")
    (tmp_path / "second").write_bytes(bytes(0x4000) + (tmp_path / "env").read_bytes())
    assert broken(disk(tmp_path, slot, GOOD, environment=tmp_path / "second")) == requirements


def test_a_flipped_bit_in_the_root_is_found(slot: tuple[Path, str], tmp_path: Path) -> None:
    raw = bytearray(slot[0].read_bytes())
    raw[raw.index(bytes(range(256))) + 7] ^= 1
    (tmp_path / "root.img").write_bytes(raw)
    assert broken(disk(tmp_path, (tmp_path / "root.img", slot[1]), GOOD)) == {"FS-02"}


def test_a_loader_entry_is_covered_by_no_signature(slot: tuple[Path, str], tmp_path: Path) -> None:
    entry = "title x\noptions " + GOOD + "\n"
    assert broken(disk(tmp_path, slot, GOOD, entry=entry)) == {"FS-02", "BOOT-03"}


@pytest.mark.parametrize("place", [ADDONS, "/loader/addons"])
@pytest.mark.parametrize(
    ("words", "requirements"),
    [(b"quiet", set()), (b"rw", {"FS-01"}), (b"mitigations=off", {"KERN-01"}), (b"init=/bin/sh", {"BOOT-03", "NET-07"})],
)
def test_the_words_of_a_listed_addon_are_judged_with_the_command_line(
    slot: tuple[Path, str], tmp_path: Path, words: bytes, requirements: set[str], place: str
) -> None:
    assert broken(disk(tmp_path, slot, GOOD, addon=(".cmdline", words), place=place)) == requirements


@pytest.mark.parametrize("place", [ADDONS, "/loader/addons"])
@pytest.mark.parametrize("addon", [(".cmdline", b"quiet"), (".initrd", b"archive"), (".dtb", b"tree"), (".ucode", b"code")])
def test_a_signed_addon_that_the_policy_does_not_list_fails(
    slot: tuple[Path, str], tmp_path: Path, addon: tuple[str, bytes], place: str
) -> None:
    assert broken(disk(tmp_path, slot, GOOD, addon=addon, listed=False, place=place)) == {"BOOT-03"}


def test_an_addon_with_more_words_than_are_read_is_an_error(slot: tuple[Path, str], tmp_path: Path) -> None:
    results = disk(tmp_path, slot, GOOD, addon=(".cmdline", b" " * 65536 + b"init=/bin/sh"))
    assert Outcome.ERROR in {result.outcome for result in results["BOOT-03"]}


def test_a_uki_that_nobody_signed_authenticates_nothing(slot: tuple[Path, str], tmp_path: Path) -> None:
    assert broken(disk(tmp_path, slot, GOOD, signed=False)) == {"FS-02", "BOOT-01", "BOOT-03"}


def test_a_command_line_for_a_partition_that_is_missing_is_an_error(slot: tuple[Path, str], tmp_path: Path) -> None:
    results = disk(tmp_path, slot, GOOD.replace("rootfs-a", "rootfs-x"))
    assert results["FS-02"][0].outcome is Outcome.ERROR


def test_command_lines_of_a_fit_are_judged_like_those_of_a_uki(tmp_path: Path) -> None:
    signed = signed_fit(tmp_path / "fit", fit_key(tmp_path / "key"))
    bare = signed_fit(tmp_path / "bare", None)
    image = open_artefact(gpt_disk(tmp_path / "disk.raw", {"fit-a": signed, "fit-b": bare}))
    assert [(entry.path, entry.authenticated, entry.command_line.last("rauc.slot")) for entry in boot_entries(image)] == [
        ("/configurations/conf-a", True, "a"),
        ("/configurations/conf-b", True, "b"),
        ("/configurations/conf-a", False, "a"),
        ("/configurations/conf-b", False, "b"),
    ]
    checks.load()
    entries = [each for each in registered() if each.requirement == "BOOT-03" and each.scope.name == "BOOT"]
    whats = [finding.what for entry in entries for finding in run_check(entry, Boot(image, ()), "disk", production()).findings]
    assert whats.count("the command line lies in a file that no signature covers") == 2


def test_command_lines_that_a_bundle_installs_are_judged_as_those_of_a_disk(tmp_path: Path) -> None:
    checks.load()
    (entry,) = [each for each in registered() if each.scope is Scope.BUNDLE and each.function.__module__ == "everest_secure.checks.boot"]
    good, bad = (
        signed_program(unified_kernel(tmp_path / name, {".cmdline": line.encode(), ".linux": b"kernel"}, stub=silent_stub(tmp_path)))
        for name, line in (("a.efi", GOOD), ("b.efi", f"{GOOD} init=/bin/sh"))
    )
    bundle = Artefact("update.raucb", "rauc-bundle", children=(open_artefact(good), open_artefact(bad)))
    assert [finding.at.artefact for finding in run_check(entry, Bundle(bundle, ()), "update.raucb", production()).findings] == ["b.efi"]
    nothing = run_check(entry, Bundle(Artefact("update.raucb", "rauc-bundle"), ()), "update.raucb", production())
    assert nothing.outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("more", "requirements"),
    [
        ("", set()),
        (" rw", {"FS-01"}),
        (" roothash=" + "00" * 32, {"FS-02"}),
        (" root=PARTLABEL=rootfs-b", {"FS-02"}),
        (" mitigations=off", {"KERN-01"}),
        (" systemd.watchdog_device=/dev/null", {"BOOT-05"}),
        (" emergency", {"NET-07"}),
        (" systemd.unit=factory.target", {"NET-06"}),
        (" systemd.unit=default.target", set()),
        (" usbcore.authorized_default=1", {"NET-08"}),
        (" systemd.journald.max_level_store=emerg", {"LOG-02"}),
        (" systemd.mask=everest-firewall.service", {"BOOT-03"}),
    ],
)
def test_what_a_bundle_would_start_is_held_to_what_a_disk_starts(
    slot: tuple[Path, str], tmp_path: Path, more: str, requirements: set[str]
) -> None:
    line = (GOOD + more).format(hash=slot[1]).encode()
    uki = signed_program(unified_kernel(tmp_path / "a.efi", {".cmdline": line, ".linux": b"kernel"}, stub=silent_stub(tmp_path)))
    bundle = Bundle(Artefact("update.raucb", "rauc-bundle", children=(open_artefact(uki), open_artefact(slot[0]))), ())
    checks.load()
    on_command_lines = {"FS-01", "FS-02", "KERN-01", "BOOT-05", "NET-06", "NET-07", "NET-08", "LOG-02", "BOOT-03"}
    entries = [each for each in registered() if each.scope is Scope.BUNDLE and each.requirement in on_command_lines]
    outcomes = [(each.requirement, run_check(each, bundle, "update.raucb", production()).outcome) for each in entries]
    assert {requirement for requirement, outcome in outcomes if outcome is Outcome.PASS} >= on_command_lines - requirements
    assert {requirement for requirement, outcome in outcomes if outcome is Outcome.FAIL} == requirements


@pytest.mark.parametrize(("target", "outcome"), [("factory.target", Outcome.FAIL), ("default.target", Outcome.PASS)])
def test_a_bundle_without_a_root_may_start_the_default_target_alone(tmp_path: Path, target: str, outcome: Outcome) -> None:
    """There are no units to compare with, which must not let every target pass."""
    line = f"{GOOD} systemd.unit={target}".encode()
    uki = signed_program(unified_kernel(tmp_path / "a.efi", {".cmdline": line, ".linux": b"kernel"}, stub=silent_stub(tmp_path)))
    bundle = Bundle(Artefact("update.raucb", "rauc-bundle", children=(open_artefact(uki),)), ())
    checks.load()
    (entry,) = [each for each in registered() if each.scope is Scope.BUNDLE and each.requirement == "NET-06"]
    assert run_check(entry, bundle, "update.raucb", production()).outcome is outcome


@pytest.mark.parametrize(
    ("offset", "requirements"), [("{offset}", set()), ("4096", {"FS-02"}), ("4096,superblock=no", set()), ("", {"FS-02"})]
)
def test_a_hash_tree_that_is_looked_for_elsewhere_lets_no_root_open(
    slot: tuple[Path, str], tmp_path: Path, offset: str, requirements: set[str]
) -> None:
    begins = open_artefact(slot[0]).facts
    assert isinstance(begins, Verity)
    line = GOOD + " systemd.verity_root_hash=PARTLABEL=rootfs-a"
    if offset:
        line += f" systemd.verity_root_options=panic-on-corruption,hash-offset={offset.format(offset=begins.hash_offset)}"
    assert broken(disk(tmp_path, slot, line)) == requirements
