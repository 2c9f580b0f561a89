"""The data partition as systemd-repart makes it (FS-03, FS-04)."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.run import run
from support.layer import Bench
from support.reference import require

pytestmark = pytest.mark.layer

DEFINITION = "usr/lib/repart.d/50-data.conf"


def plan(layer: Bench, disk: Path, **settings: str) -> list[dict[str, object]]:
    """What systemd-repart would do to a disk with two slots."""
    require("systemd-repart", "sfdisk")
    with disk.open("wb") as file:
        file.truncate(200 << 20)
    table = "label: gpt\n" + "".join(
        f'size={size}MiB, type={kind}, name="{name}"\n'
        for name, kind, size in (
            ("efi-a", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 8),
            ("efi-b", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 8),
            ("rootfs-a", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", 8),
            ("rootfs-b", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", 8),
        )
    )
    subprocess.run(["sfdisk", "--quiet", disk], input=table, text=True, check=True)
    definitions = (layer.package("everest-data-partition", **settings).files / DEFINITION).parent
    found: list[dict[str, object]] = json.loads(
        run(["systemd-repart", "--dry-run=yes", "--json=short", "--no-pager", f"--definitions={definitions}", disk])
    )
    return found


def test_the_data_partition_takes_the_rest_of_the_disk_and_no_slot_is_touched(layer: Bench, tmp_path: Path) -> None:
    entries = plan(layer, tmp_path / "disk.raw")
    (data,) = [entry for entry in entries if entry["activity"] != "unchanged"]
    assert (data["label"], data["activity"]) == ("data", "create")
    assert int(str(data["raw_size"])) > 160 << 20


def test_a_disk_without_room_for_it_is_an_error(layer: Bench, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"current image size is 200\.0M"):
        plan(layer, tmp_path / "disk.raw", EVEREST_DATA_MIN_SIZE="400")


@pytest.mark.parametrize(("encryption", "encrypt"), [("0", "off"), ("1", "tpm2")])
def test_a_knob_decides_whether_it_is_encrypted(layer: Bench, encryption: str, encrypt: str) -> None:
    files = layer.package("everest-data-partition", EVEREST_DATA_ENCRYPTION=encryption).files
    assert re.findall(r"^Encrypt=(.*)$", (files / DEFINITION).read_text(), re.MULTILINE) == [encrypt]
    assert (files / "etc/crypttab").exists() == (encrypt == "tpm2")


def test_the_encrypted_partition_is_opened_by_the_tpm_and_mounted_under_the_name_that_it_has_then(layer: Bench) -> None:
    settings = {"EVEREST_DATA_ENCRYPTION": "1"}
    (entry,) = [
        line.split()
        for line in (layer.package("everest-data-partition", **settings).files / "etc/crypttab").read_text().splitlines()
        if not line.startswith("#")
    ]
    name, device, password, options = entry
    assert (device, password) == ("PARTLABEL=data", "none")
    assert "tpm2-device=auto" in options.split(",")
    mount = (layer.package("everest-state", **settings).files / "usr/lib/systemd/system/var.mount").read_text()
    assert f"What=/dev/mapper/{name}\n" in mount
