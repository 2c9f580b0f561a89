"""Words that firmware adds to the signed command line of a UKI: how they are kept from taking effect."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Scope, registered, run_check
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.pe import EfiProgram
from everest_secure.parse.uki_stub import appends_firmware_words
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult
from support.flat_image import fit_key, signed_fit
from support.images import LAYER_INIT, appending_stub, efi_stub, initial_ram_disk, ram_disk_with_init, silent_stub, tool, unified_kernel
from support.reference import require
from support.rootfs import production

CLOSED, OPEN = b"ro quiet --", b"ro quiet"


def judged(*artefacts: Artefact, policy: Parameters | None = None, scope: Scope = Scope.BOOT) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.scope is scope and each.function.__module__.endswith(".firmware_words")]
    container = Artefact("disk", "gpt", children=artefacts)
    return run_check(entry, Boot(container, ()) if scope is Scope.BOOT else Bundle(container, ()), "disk", policy or production())


def uki(
    directory: Path, line: bytes, *, init: bytes | None = LAYER_INIT.read_bytes(), behind: bytes = b"", stub: Path | None = None
) -> Artefact:
    """Make a UKI whose stub appends what firmware says; `behind` is a second archive of its initrd."""
    directory.mkdir(exist_ok=True)
    initrd = {} if init is None else {".initrd": ram_disk_with_init(directory / "initrd", init) + behind}
    sections = {".cmdline": line, **initrd, ".linux": b"kernel" * 100}
    return open_artefact(unified_kernel(directory / f"{directory.name}.efi", sections, stub=stub or appending_stub(directory)))


def test_a_line_that_is_closed_and_an_init_that_looks_keep_firmware_out(tmp_path: Path) -> None:
    result = judged(uki(tmp_path / "a", CLOSED), uki(tmp_path / "b", CLOSED))
    assert result.outcome is Outcome.PASS
    assert len(result.seen) == 2


@pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])
@pytest.mark.parametrize(
    ("line", "says"),
    [(OPEN, "the kernel takes them"), (b"ro -- quiet", "no initrd can tell them from those behind '--'"), (b"", "the kernel takes them")],
)
def test_a_line_that_firmware_can_lengthen_fails(tmp_path: Path, scope: Scope, line: bytes, says: str) -> None:
    result = judged(uki(tmp_path / "a", line), scope=scope)
    (finding,) = result.findings
    assert says in finding.what
    assert finding.at.artefact == "a.efi"
    assert "'--'" in finding.remedy


def test_what_an_addon_adds_behind_the_end_opens_the_line_again(tmp_path: Path) -> None:
    addon = open_artefact(unified_kernel(tmp_path / "x.addon.efi", {".cmdline": b"quiet"}))
    result = judged(uki(tmp_path / "a", CLOSED), addon)
    assert [finding.at.artefact for finding in result.findings] == ["a.efi"]


@pytest.mark.parametrize(
    ("init", "says"),
    [
        (b"#!/bin/sh\nexec /usr/lib/systemd/systemd\n", "none that is known to look"),
        (LAYER_INIT.read_bytes() + b"\n", "none that is known to look"),
        (None, "no initrd with an /init looks"),
    ],
)
def test_an_initrd_that_is_not_known_to_refuse_a_word_fails(tmp_path: Path, init: bytes | None, says: str) -> None:
    result = judged(uki(tmp_path, CLOSED, init=init))
    (finding,) = result.findings
    assert says in finding.what
    assert (finding.at.path == "/init") is (init is not None)


def test_an_initrd_without_an_init_fails(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/linuxrc").write_bytes(LAYER_INIT.read_bytes())
    sections = {".cmdline": CLOSED, ".initrd": initial_ram_disk(tmp_path / "other"), ".linux": b"kernel"}
    result = judged(open_artefact(unified_kernel(tmp_path / "a.efi", sections, stub=appending_stub(tmp_path))))
    assert [finding.at.path for finding in result.findings] == ["/init"]


def test_an_archive_behind_the_first_puts_another_init_in_its_place(tmp_path: Path) -> None:
    """The second initrd begins as the first does, and is judged by itself."""
    other = ram_disk_with_init(tmp_path / "second", b"#!/bin/sh\n")
    result = judged(uki(tmp_path / "a", CLOSED), uki(tmp_path / "b", CLOSED, behind=other))
    assert [finding.at.artefact for finding in result.findings] == ["b.efi:.initrd"]


@pytest.mark.parametrize(("second", "says"), [(b"#!/bin/sh\n", "none that is known to look"), (None, "no initrd with an /init looks")])
def test_the_initrd_of_a_profile_counts_as_well(tmp_path: Path, second: bytes | None, says: str) -> None:
    other = b"of an unknown kind" if second is None else ram_disk_with_init(tmp_path / "second", second)
    initrd = ram_disk_with_init(tmp_path / "first", LAYER_INIT.read_bytes())
    sections = {".cmdline": CLOSED, ".linux": b"kernel", ".initrd": initrd, ".profile": b"ID=other\n", ".initrX": other}
    file = unified_kernel(tmp_path / "a.efi", sections, stub=appending_stub(tmp_path))
    file.write_bytes(file.read_bytes().replace(b".initrX\0", b".initrd\0"))
    assert [says in finding.what for finding in judged(open_artefact(file)).findings] == [True]


def test_a_product_lists_an_init_of_its_own_that_it_has_read(tmp_path: Path) -> None:
    own = b"#!/bin/sh\n# looks by itself\n"
    (tmp_path / "own").write_bytes(own)
    digest = tool("sha256sum", tmp_path / "own").split()[0].decode()
    artefact = uki(tmp_path / "a", CLOSED, init=own)
    assert judged(artefact).outcome is Outcome.FAIL
    assert judged(artefact, policy=replace(production(), initrd_inits=(digest,))).outcome is Outcome.PASS


def test_a_stub_that_appends_nothing_needs_neither(tmp_path: Path) -> None:
    assert judged(uki(tmp_path, OPEN, init=None, stub=silent_stub(tmp_path))).outcome is Outcome.PASS


def test_the_stub_of_this_machine_appends_if_it_is_of_254_or_later() -> None:
    program = open_artefact(efi_stub()).facts
    assert isinstance(program, EfiProgram)
    magic = program.section(".sdmagic")
    assert magic is not None
    version = re.match(rb"#### LoaderInfo: systemd-stub (\d+)", magic.content.head(magic.content.size))
    assert version is not None
    assert appends_firmware_words(program) is (int(version[1]) >= 254)


def test_a_kernel_that_names_the_string_is_no_stub_that_reads_it(tmp_path: Path) -> None:
    sections = {".cmdline": OPEN, ".linux": b"io.systemd.stub.kernel-cmdline-extra"}
    result = judged(open_artefact(unified_kernel(tmp_path / "a.efi", sections, stub=silent_stub(tmp_path))))
    assert result.outcome is Outcome.PASS


def test_a_bundle_that_brings_nothing_to_boot_is_not_concerned() -> None:
    assert judged(Artefact("rootfs", "squashfs"), scope=Scope.BUNDLE).outcome is Outcome.NOT_APPLICABLE


def test_a_fit_has_no_stub(tmp_path: Path) -> None:
    require("mkimage", "dtc")
    assert judged(open_artefact(signed_fit(tmp_path / "fit", fit_key(tmp_path / "key")))).outcome is Outcome.PASS


def test_the_init_of_the_layer_is_the_one_that_the_profile_knows() -> None:
    digest = tool("sha256sum", LAYER_INIT).split()[0].decode()
    assert production().initrd_inits == (digest,)
