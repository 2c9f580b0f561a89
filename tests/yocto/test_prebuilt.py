"""The prebuilt way from nothing to a checked image, by kas and BitBake as an ordinary user, without a compiler."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import pytest

from everest_secure.build import upstream
from everest_secure.build.collect import Collection, find
from everest_secure.build.kas import Kas
from everest_secure.checks.session import check_artefacts
from everest_secure.errors import UserError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.gpt import PartitionTable
from everest_secure.image.raucb import RaucBundle
from everest_secure.image.tree import Tree
from everest_secure.keyfile import words
from everest_secure.pki.store import Store
from everest_secure.reference.archive import find_archive
from everest_secure.report.model import Report
from everest_secure.result import Outcome
from everest_secure.target.firmware import Firmware, enroll
from everest_secure.target.machine import PROGRAMS as MACHINE
from everest_secure.target.machine import Machine
from everest_secure.target.session import run_until
from support.subordinate import subordinate_user
from support.yocto import PROJECT, Checkout, prepare

pytestmark = [pytest.mark.yocto, pytest.mark.full]

TOP = "kas/qemux86-64.yml:kas/opt/prebuilt.yml"
IMAGE = "everest-secure-image-development"
BUNDLE = "everest-secure-bundle-development"
PROGRAMS = ("apt-get", "cpio", "dpkg-deb", "mmdebstrap", "newuidmap", "pseudo", "zstd")
SAYS = "everest-reference: "
"""What the stand-in of EVerest says of the machine on its console begins so."""


@dataclass(frozen=True, slots=True)
class Built:
    """What the build left."""

    checkout: Checkout
    deploy: Path
    collection: Collection
    report: Report

    def failed(self) -> set[str]:
        """Return the requirements that are not met, or could not be looked at."""
        return {result.requirement.id for result in self.report.results if result.outcome in {Outcome.ERROR, Outcome.FAIL}}

    def root(self) -> Tree:
        """Return the root file system as the bundle carries it."""
        slot = self.deploy / f"{IMAGE}-qemux86-64.rootfs.squashfs-zst.verity"
        return next(artefact.tree for artefact in open_artefact(slot).walk() if artefact.tree)


@pytest.fixture(scope="module")
def layers() -> Iterator[Checkout]:
    """The project with the layer of this way, and upstream's layers; built as a user who has subordinate ids."""
    away = upstream.unreachable(Kas((PROJECT / "kas/qemux86-64.yml",), PROJECT).configuration().repositories, environment=os.environ)
    if away:
        pytest.skip(f"upstream is out of reach: {upstream.hosts(away)}")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    try:
        find_archive()
    except UserError as error:
        pytest.skip(str(error))
    with subordinate_user() as user:
        user.give(PROJECT / "meta-everest-prebuilt")
        (user.directory / "scripts").mkdir()
        shutil.copytree(PROJECT / "scripts/everest_secure", user.directory / "scripts/everest_secure")
        user.own(user.directory / "scripts")
        yield prepare(user, user.python())


@pytest.fixture(scope="module")
def built(layers: Checkout) -> Built:
    """Image and bundle."""
    return build(layers, TOP)


def build(checkout: Checkout, top: str) -> Built:
    """Build and check what a chain of kas files says."""
    keep = f'EVEREST_DEBIAN_ARCHIVE = "{find_archive().main}"\n' if os.environ.get("EVEREST_DEBIAN_ARCHIVE") else ""
    done = checkout.shell(top, f"bitbake {IMAGE} {BUNDLE}", lines=keep, offline=False)
    assert done.returncode == 0, done.stdout[-10000:]
    deploy = checkout.user.directory / "build/tmp/deploy/images/qemux86-64"
    collection = find(deploy, targets=(IMAGE, BUNDLE))
    return Built(checkout, deploy, collection, check_artefacts(collection.artefacts, profile="reference"))


def test_image_bundle_manifest_and_bill_of_materials_come_out(built: Built) -> None:
    assert {path.name for path in built.collection.artefacts} == {f"{IMAGE}-qemux86-64.rootfs.wic", f"{BUNDLE}-qemux86-64.raucb"}
    companions = {path.name for path in built.collection.companions}
    assert f"{IMAGE}-qemux86-64.rootfs.manifest" in companions
    assert any(".spdx." in name for name in companions)


def test_the_disk_is_laid_out_as_the_full_build_lays_it_out(built: Built) -> None:
    disk = next(path for path in built.collection.artefacts if path.suffix == ".wic")
    table = open_artefact(disk).facts
    assert isinstance(table, PartitionTable)
    assert [partition.label for partition in table.partitions] == ["efi-a", "efi-b", "rootfs-a", "rootfs-b"]


def test_everything_holds_that_the_checker_looks_at(built: Built) -> None:
    assert any(result.outcome is Outcome.PASS for result in built.report.results)
    assert built.failed() == set()


def test_the_image_says_that_it_is_prebuilt(built: Built) -> None:
    marks = json.loads(built.root().text("/usr/lib/everest-secure/stand-ins.json"))
    assert marks["kind"] == "prebuilt"
    assert {"/usr/bin/manager", "/usr/lib/dpkg/status"} <= {stand_in["path"] for stand_in in marks["stand_ins"]}


@pytest.mark.parametrize("driver", ["dm-verity", "erofs", "squashfs", "virtio_blk"])
def test_the_initial_ram_disk_has_the_drivers_that_lead_to_the_root(built: Built, driver: str) -> None:
    archive = (built.deploy / "everest-secure-initramfs-qemux86-64.cpio.zst").resolve()
    packed = subprocess.run(["zstd", "-dc", archive], capture_output=True, check=True).stdout
    names = subprocess.run(["cpio", "--list", "--quiet"], input=packed, capture_output=True, check=True).stdout.decode().split()
    assert [name for name in names if PurePath(name).name == f"{driver}.ko.xz"] != []


def test_the_ids_are_those_of_the_distro_and_not_debians(built: Built) -> None:
    ids = {line.split(":")[0]: line.split(":")[2] for line in built.root().text("/etc/passwd").splitlines()}
    table = (PROJECT / "meta-everest-secure/files/everest-secure-passwd").read_text().splitlines()
    listed = {line.split(":")[0]: line.split(":")[2] for line in table if line and not line.startswith("#")}
    shared = ids.keys() & listed.keys()
    assert {"everest", "messagebus", "mosquitto", "tss"} <= shared
    assert {name: ids[name] for name in shared} == {name: listed[name] for name in shared}


def test_no_address_of_the_archive_is_in_the_image(built: Built) -> None:
    assert built.root().resolve("/etc/apt") is None


def test_the_disk_starts_with_secure_boot_and_no_unit_fails(built: Built, tmp_path: Path) -> None:
    missing = [program for program in MACHINE if shutil.which(program) is None]
    firmware = Firmware()
    if missing or not (firmware.code.is_file() and firmware.variables.is_file()):
        pytest.skip(f"not installed: {', '.join(missing) or 'ovmf'}")
    disk = next(path for path in built.collection.artefacts if path.suffix == ".wic")
    variables = enroll(tmp_path / "variables.fd", firmware=firmware, keys=Store(built.checkout.keys))
    console = run_until(
        Machine(disk=disk, firmware=firmware, variables=variables, state=tmp_path / "machine"), f"{SAYS}ready", seconds=1800
    ).splitlines()
    assert f"{SAYS}failed units: none" in [line.strip() for line in console]


def test_a_prebuilt_image_is_never_built_for_the_field(built: Built) -> None:
    done = built.checkout.shell(TOP, "bitbake --dry-run everest-secure-image", lines='EVEREST_PRODUCTION = "1"\n')
    assert done.returncode != 0
    assert "BIN-02: a prebuilt image holds stand-ins and is never for the field" in done.stdout


def test_with_adaptive_updates_the_root_is_erofs_and_of_the_bundle_a_charger_writes_what_differs(layers: Checkout) -> None:
    built = build(layers, f"{TOP}:kas/opt/adaptive-updates.yml")
    assert built.failed() == set()
    parts = [part for path in built.collection.artefacts for part in open_artefact(path).walk()]
    # The root, on the disk and in the bundle.
    assert {part.kind for part in parts if part.tree and part.tree.resolve("/usr/bin/manager")} == {"erofs"}
    (bundle,) = (part.facts for part in parts if isinstance(part.facts, RaucBundle))
    assert bundle.manifest is not None
    methods = {name: words(keys["adaptive"]) for name, keys in bundle.manifest.images.items()}
    assert methods == dict.fromkeys(("efi", "rootfs"), ("block-hash-index",))
