"""The real rauc beside a hawkBit client: on a system bus with the policies of a charger, and with bundles for it."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from everest_secure.run import running
from support.authority import Pair, issue
from support.hawkbit_client import ACCOUNT, STATE, USER, Device
from support.raucs import SYSTEM
from support.reference import require
from support.waiting import eventually

# As dbus's own system.conf; then the policy that rauc itself installs, and behind it those of the layer.
BUS = """<busconfig><type>system</type><listen>unix:path={place}/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/></policy>
<policy user="root"><allow own="de.pengutronix.rauc"/></policy><policy context="default"><allow send_destination="de.pengutronix.rauc"/></policy>
<includedir>{place}/root/etc/dbus-1/system.d</includedir></busconfig>
"""
ACCOUNTS = f"root:x:0:0::/:/bin/false\n{ACCOUNT}:x:{USER}:{USER}::/:/bin/false\neverest:x:1500:1500::/:/bin/false\n"
MANIFEST = """[update]
compatible={compatible}
version=2
[bundle]
format=plain
[image.rootfs]
filename=rootfs.img
"""
"""RAUC-01 wants another format; this one is mounted without the kernel's device mapper."""
AUTHORITY = issue("Update Root CA", authority=True)


def bundle(place: Path, content: bytes, *, compatible: str, by: Pair) -> bytes:
    """Return a bundle that fills a slot, signed with a certificate of an authority."""
    require("rauc", "mksquashfs")
    (place / "content").mkdir(parents=True)
    (place / "content/rootfs.img").write_bytes(content)
    (place / "content/manifest.raucm").write_text(MANIFEST.format(compatible=compatible))
    signer = issue("Signer", by=by)
    (place / "signer.pem").write_text(signer.pem)
    (place / "signer.key").write_text(signer.key_pem)
    signed: Sequence[str | Path] = ("--cert", place / "signer.pem", "--key", place / "signer.key")
    subprocess.run(["rauc", *signed, "bundle", place / "content", place / "update.raucb"], capture_output=True, check=True)
    return (place / "update.raucb").read_bytes()


@contextmanager
def rauc(device: Device, *, compatible: str) -> Iterator[Path]:
    """Run rauc's service and yield the slot that it installs into, empty as yet."""
    require("rauc", "dbus-daemon", "bwrap")
    if os.geteuid() != 0:
        pytest.skip("only root mounts a bundle")
    place, bus = device.place, device.place / "run/dbus/system_bus_socket"
    for directory in (place / "mnt", bus.parent):
        directory.mkdir()
    for name, text in {"bus.conf": BUS, "system.conf": SYSTEM}.items():
        (place / name).write_text(text.format(place=place, compatible=compatible))
    for name, text in {"keyring.pem": AUTHORITY.pem, "passwd": ACCOUNTS, "slot-a": "", "slot-b": ""}.items():
        (place / name).write_text(text)
    root: list[str | Path] = ["bwrap", "--die-with-parent", "--cap-add", "ALL", "--dev-bind", "/", "/"]
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
    named = ("--setenv", *next(iter(environment.items())))
    with running(
        [*root, "--ro-bind", place / "passwd", "/etc/passwd", "dbus-daemon", f"--config-file={place}/bus.conf", "--nofork"]
    ) as dbus:
        _reached(dbus, bus.exists)
        service = ("rauc", "--conf", place / "system.conf", "--override-boot-slot=A", "service")
        with running([*root, "--tmpfs", "/var/lib", "--bind", device.state, f"/{STATE}", *named, *service]) as process:
            asked = {**os.environ, **environment}
            _reached(process, lambda: subprocess.run(["rauc", "status"], env=asked, capture_output=True, check=False).returncode == 0)
            yield place / "slot-b"


def _reached(program: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Wait until a condition holds for which the program has to run on."""
    eventually(lambda: program.poll() is not None or condition())
    assert program.poll() is None
