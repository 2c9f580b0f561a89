from pathlib import Path

import pytest

from everest_secure.parse.cmdline import parse_cmdline
from everest_secure.reference.rootfs import VerityImage
from everest_secure.reference.uki import command_line

ROOT = VerityImage(Path("rootfs.img"), "ab" * 32, 4096 * 7)


@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_slot_boots_its_own_partition_by_the_signed_hash(slot: str) -> None:
    line = parse_cmdline(command_line(slot, ROOT))
    assert line.root_read_only
    assert line.values("root") == ("/dev/mapper/root",)
    assert line.values("rootfstype") == ("squashfs",)
    assert line.values("roothash") == ("ab" * 32,)
    assert line.values("systemd.verity_root_data") == (f"PARTLABEL=rootfs-{slot}",)
    assert line.values("systemd.verity_root_hash") == (f"PARTLABEL=rootfs-{slot}",)
    assert line.values("systemd.verity_root_options") == ("hash-offset=28672,panic-on-corruption",)
    assert line.values("rauc.slot") == (slot.upper(),)


def test_nothing_is_discovered_no_console_is_named_and_the_kernel_is_locked_down() -> None:
    line = parse_cmdline(command_line("a", ROOT))
    assert line.values("systemd.gpt_auto") == ("0",)
    assert line.values("lockdown") == ("integrity",)
    assert line.values("usbcore.authorized_default") == ("0",)
    assert line.values("panic") == ("10",)
    assert not [name for name in ("console", "init", "rd.shell", "systemd.debug_shell") if line.has(name)]


def test_the_two_slots_differ_in_nothing_but_their_names() -> None:
    one, two = command_line("a", ROOT), command_line("b", ROOT)
    assert one.replace("rootfs-a", "rootfs-b").replace("rauc.slot=A", "rauc.slot=B") == two


def test_extra_words_come_last_without_empty_ones() -> None:
    assert command_line("a", ROOT, extra="  console=ttyS0   debug ") == f"{command_line('a', ROOT)} console=ttyS0 debug"
