"""What boot loaders let somebody at the console do: systemd-boot, GRUB, extlinux, U-Boot."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from everest_secure.image.blob import Blob
from everest_secure.image.pe import EfiProgram

LOADER_CONF = "/loader/loader.conf"
_SDMAGIC = re.compile(rb"#### LoaderInfo: systemd-boot ")
_NO = ("0", "no", "n", "false", "f", "off")
"""What systemd-boot takes for no; with any other word a setting keeps its default (src/boot/efi/util.c, parse_boolean())."""
_MAX_U_BOOT = 32 * 1024 * 1024
_U_BOOT = re.compile(rb"U-Boot (?:SPL |TPL )?20[0-9]{2}\.[0-9]{2}")
_BOOTDELAY = re.compile(rb"\0bootdelay=(-?[0-9]+)\0")
_ENVIRONMENT_SIZES = tuple(1 << bits for bits in range(12, 21))
AT_ONCE = "-2"
"""CONFIG_BOOTDELAY with which U-Boot starts at once and looks for no key (U-Boot, boot/Kconfig)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that keeps a door open."""

    line: int
    what: str
    remedy: str


def is_systemd_boot(program: EfiProgram) -> bool:
    """Whether an EFI program is systemd-boot; its stub, which starts a UKI, marks itself otherwise (src/boot/efi)."""
    section = program.section(".sdmagic")
    return section is not None and bool(_SDMAGIC.match(section.content.head(256)))


def is_grub(program: EfiProgram) -> bool:
    """Whether an EFI program is GRUB: its modules lie in a section of their own (util/mkimage.c)."""
    return program.section("mods") is not None


def systemd_boot_settings(text: str) -> list[Setting]:
    """Return what loader.conf(5) leaves open; an absent `editor` means yes, an absent `timeout` means 0."""
    values: dict[str, tuple[int, str]] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        key, *rest = raw.strip().split(None, 1) if raw.strip() else [""]
        if key and not key.startswith("#"):
            value = rest[0] if rest else ""
            values[key] = (number, value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value)
    found = []
    line, value = values.get("editor", (0, "yes"))
    if value not in _NO:
        found.append(Setting(line, "systemd-boot lets anyone edit the command line", "Write 'editor no' in loader.conf."))
    line, value = values.get("timeout", (0, "0"))
    if value not in ("0", "menu-hidden", "menu-disabled"):
        found.append(Setting(line, f"systemd-boot shows a menu (timeout {value})", "Write 'timeout 0' in loader.conf."))
    return found


def grub_settings(text: str) -> list[Setting]:
    """Return what a grub.cfg leaves open: a menu, and console and editor that no superuser's password guards (GRUB manual, "Security")."""
    timeout, superusers, hashed, plain = (0, ""), "", False, 0
    found: list[Setting] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        assigned = re.match(r"""(?:set\s+)?(timeout|superusers)=["']?([^"']*)""", line)
        if assigned and assigned[1] == "timeout":
            timeout = (number, assigned[2].strip())
        elif assigned:
            superusers = assigned[2].strip()
        elif re.match(r"password\s", line):
            plain = number
        other = re.match(r"(source|configfile|normal|\.)\s+\S", line)
        if other:
            found.append(Setting(number, f"GRUB reads another file by '{other[1]}', which is not followed", "Put its lines into grub.cfg."))
        hashed = hashed or bool(re.match(r"password_pbkdf2\s", line))
    if not superusers or not (hashed or plain):
        what = "GRUB's console and editor need no password"
        found.append(Setting(0, what, "Set superusers and password_pbkdf2 in grub.cfg, or boot a UKI without GRUB."))
    if plain:
        found.append(Setting(plain, "GRUB's password stands there in clear", "Use password_pbkdf2."))
    if timeout[1] != "0":
        what = f"GRUB shows a menu (timeout {timeout[1]})" if timeout[1] else "GRUB waits at its menu for ever (no timeout is set)"
        found.append(Setting(timeout[0], what, "Write 'set timeout=0' in grub.cfg."))
    return found


def extlinux_settings(text: str) -> list[Setting]:
    """Return what an extlinux.conf leaves open: a prompt, or a menu that waits (U-Boot, boot/pxe_utils.c)."""
    found = []
    for number, raw in enumerate(text.split("\n"), start=1):
        key, *rest = raw.split(None, 1) or [""]
        value = rest[0] if rest else ""
        if key.upper() == "INCLUDE" or (key.upper() == "MENU" and value.upper().startswith("INCLUDE")):
            found.append(Setting(number, "extlinux.conf includes another file, which is not followed", "Put its lines into extlinux.conf."))
        if key.upper() in ("PROMPT", "TIMEOUT") and value.strip() not in ("0", ""):
            what = f"extlinux.conf says {key.upper()} {value.strip()}, so that the loader waits for a key"
            found.append(Setting(number, what, f"Write '{key.upper()} 0'."))
    return found


def u_boot_delays(blob: Blob) -> tuple[str, ...] | None:
    """Return the boot delays in the default environments that U-Boot was compiled with; None when the bytes are no U-Boot, or too many for one.

    An EFI program is no U-Boot that a boot ROM starts.
    """
    if not 0 < blob.size <= _MAX_U_BOOT or blob.head(2) == b"MZ":
        return None
    content = blob.read(0, blob.size)
    if not _U_BOOT.search(content):
        return None
    return tuple(dict.fromkeys(found.decode() for found in _BOOTDELAY.findall(content)))


def u_boot_environments(blob: Blob) -> tuple[Mapping[str, str], ...]:
    """Return the saved environments of U-Boot at the beginning of some bytes, one or a pair; none when no check sum is right (env/common.c).

    A pair of copies has a flag behind the check sum, and the second lies behind the first; the size is a power of two, or that of the file.
    """
    for size in (*_ENVIRONMENT_SIZES, blob.size):
        found = tuple(each for at in (0, size) if (each := _environment(blob, at, size)) is not None)
        if found:
            return found
    return ()


def _environment(blob: Blob, at: int, size: int) -> Mapping[str, str] | None:
    if size <= 5 or size > _ENVIRONMENT_SIZES[-1] or at + size > blob.size:
        return None
    raw = blob.read(at, size)
    checked = int.from_bytes(raw[:4], "little")
    return next((u_boot_variables(raw[start:]) for start in (4, 5) if zlib.crc32(raw[start:]) == checked), None)


def u_boot_variables(raw: bytes) -> Mapping[str, str]:
    """Return the variables of an environment: `name=value`, each ended by a zero byte, up to an empty one."""
    words = raw.split(b"\0\0", 1)[0].split(b"\0")
    return dict(word.decode("utf-8", "replace").partition("=")[::2] for word in words if b"=" in word)
