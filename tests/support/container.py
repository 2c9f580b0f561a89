"""The demonstration's root file system in a container: the real systemd with the real units, in seconds. No kernel, firmware or TPM of its own."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.booted import DISK, LACKING
from support.reference import require

IN_A_CONTAINER = "(in a container: the image's own systemd and programs, and the kernel of the computer)"
"""First line of what a scenario here has to show."""
SLOT = "rootfs-a"
SECTOR = 512
SECONDS = 120
REBOOTED = 133
"""What systemd-nspawn returns when the container wants to be started again (its EXIT_FORCE_RESTART)."""
CANNOT = 77
# systemd 257 wants the unified hierarchy for itself, whatever this machine has. The container's eth0 leads to a network that is the test's alone.
START = """
image=$1 place=$2
umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/everest || exit 77
echo $$ > /sys/fs/cgroup/everest/cgroup.procs || exit 77
mount -t overlay overlay -o "lowerdir=$image,upperdir=$place/upper,workdir=$place/work" "$place/root" || exit 77
(
    cd "$place" && tries=0
    until ip address add 192.0.2.2/24 dev outside 2>/dev/null || [ $((tries += 1)) -gt 200 ]; do sleep 0.1; done
    ip link set outside up
    . ./outside.sh
) > "$place/outside.log" 2>&1 &
systemd-nspawn --quiet --register=no --keep-unit --network-veth-extra=outside:eth0 --boot --directory="$place/root"
status=$?
wait
exit $status
"""
NETWORK = "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\n"
VAR = "[Unit]\nDescription=An empty data partition\n[Mount]\nWhat=tmpfs\nWhere=/var\nType=tmpfs\nOptions=nodev,nosuid,noexec\n"
PROBE = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /probe.sh
"""


@dataclass(frozen=True)
class Outcome:
    """How a container ended and what was said in it."""

    status: int
    console: str
    probe: str
    """What the probe printed; empty when it did not run."""
    outside: str
    """What the script printed that ran at the other end of eth0."""


def unpack(place: Path) -> Path:
    """Unpack the root of the demonstration's first slot; skips where that cannot be done."""
    require("systemd-nspawn", "unsquashfs", "sfdisk", "ip", "mosquitto_sub")
    if os.geteuid() != 0:
        pytest.skip("only root starts a container with the image's own users")
    if not DISK.is_file():
        pytest.skip(LACKING)
    said = subprocess.run(["sfdisk", "--json", DISK], capture_output=True, check=True).stdout
    (start,) = (part["start"] for part in json.loads(said)["partitiontable"]["partitions"] if part.get("name") == SLOT)
    root = place / "image"
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-offset", str(start * SECTOR), "-dest", root, DISK], check=True)
    return root


def boot(
    image: Path, place: Path, *, probe: str = "", outside: str = "", files: Mapping[str, str] | None = None, trees: tuple[Path, ...] = ()
) -> Outcome:
    """Start the image with packages' trees and files laid over it, until it ends.

    `probe` is a script that runs in it when it is up; `outside` one that runs in `place`, on a network with the container at 192.0.2.1.
    """
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True)
    upper = place / "upper"
    for tree in trees:
        shutil.copytree(tree, upper, dirs_exist_ok=True, symlinks=True)
    units = upper / "etc/systemd/system"
    laid = {
        "etc/systemd/network/05-test.network": NETWORK,
        "etc/systemd/system/probe.service": PROBE,
        "etc/systemd/system/var.mount": VAR,
        "probe.sh": f"exec >/probe.log 2>&1\n{probe}\n",
        **(files or {}),
    }
    for name, text in laid.items():
        (upper / name).parent.mkdir(parents=True, exist_ok=True)
        (upper / name).write_text(text)
    (place / "outside.sh").write_text(outside)
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    if probe:
        (units / "multi-user.target.wants/probe.service").symlink_to("../probe.service")
    # It speaks on a serial port that a container has not.
    (units / "everest-reference-report.service").symlink_to("/dev/null")
    spaces = ("--mount", "--net", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc")
    command: list[str | Path] = ["unshare", *spaces, "sh", "-c", START, "sh", image, place]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            console, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"the container did not end: {process.communicate()[0][-2000:]}")
    if process.returncode == CANNOT:
        pytest.skip("this machine cannot run a container")
    log = upper / "probe.log"
    said = log.read_text() if log.is_file() else ""
    return Outcome(process.returncode, console, said, (place / "outside.log").read_text())
