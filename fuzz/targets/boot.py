"""What a machine starts: EFI programs, unified kernels, FITs, device trees, kernels, boot loaders, programs."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.image.artefact import Artefact
from everest_secure.image.blob import Blob, from_bytes
from everest_secure.image.fdt import DeviceTree, open_device_tree
from everest_secure.image.fit import Fit, open_fit
from everest_secure.image.fit_signature import configuration_faults, required_keys
from everest_secure.image.pe import EfiProgram, open_efi_program
from everest_secure.image.uki import open_uki
from everest_secure.parse import elf_hardening, loaders
from everest_secure.parse.authenticode import verify_program
from everest_secure.parse.elf import read_elf
from everest_secure.parse.kconfig import parse_kconfig
from everest_secure.parse.kernel_image import kernel_configuration
from everest_secure.parse.uki_addons import added_words
from fuzz.target import target
from fuzz.targets.file_systems import little_tree, read
from support.elf import Program
from support.flat_image import device_tree as compiled
from support.flat_image import fit_key, signed_fit
from support.images import efi_stub, initial_ram_disk, signed_program, tool, unified_kernel


def _programs(work: Path) -> Iterator[bytes]:
    (work / "stub").write_bytes(efi_stub().read_bytes())
    tool("objcopy", "--strip-all", work / "stub", work / "program")
    yield (work / "program").read_bytes()
    yield unified_kernel(work / "x.addon.efi", {".cmdline": b"quiet", ".dtb": b"tree"}, stub=work / "program").read_bytes()
    yield signed_program(work / "program").read_bytes()


@target(seeds=_programs)
def pe(data: bytes) -> None:
    """EFI programs, their Authenticode signatures, and what they add as addons of systemd-stub."""
    blob = from_bytes(data, "input")
    found = open_efi_program(blob, 0)
    if found and isinstance(found.facts, EfiProgram):
        verify_program(blob, found.facts)
        loaders.is_systemd_boot(found.facts)
        loaders.is_grub(found.facts)
        added_words(found)


def _kernels(work: Path) -> Iterator[bytes]:
    root = little_tree(work / "root")
    sections = {
        ".cmdline": b"ro quiet",
        ".osrel": b"ID=x\n",
        ".uname": b"6.6.1",
        ".linux": b"linux" * 10,
        ".initrd": initial_ram_disk(root),
    }
    yield unified_kernel(work / "uki", sections).read_bytes()


@target(seeds=_kernels)
def uki(data: bytes) -> None:
    """Unified kernel images with their initial RAM disks."""
    read(open_uki, data)


def _fits(work: Path) -> Iterator[bytes]:
    key = fit_key(work / "key")
    yield signed_fit(work / "signed", key).read_bytes()
    yield signed_fit(work / "external", None, "-E").read_bytes()


@target(seeds=_fits)
def fit(data: bytes) -> None:
    """FITs and their signatures."""

    def with_signatures(blob: Blob, depth: int) -> Artefact | None:
        found = open_fit(blob, depth)
        if found and isinstance(found.facts, Fit):
            key = rsa.RSAPublicNumbers(65537, (1 << 2047) + 1).public_key()
            for each in found.facts.configurations.values():
                configuration_faults(found.facts, each, key)
        return found

    read(with_signatures, data)


def _device_trees(work: Path) -> Iterator[bytes]:
    key = fit_key(work / "key")
    signed_fit(work / "signed", key)
    yield key.tree.read_bytes()
    yield compiled(work / "small", '/ { a = <1 2>; b { c = "text", "more"; d; }; };').read_bytes()


@target(seeds=_device_trees)
def fdt(data: bytes) -> None:
    """Device trees, and the keys that U-Boot reads there."""
    found = open_device_tree(from_bytes(data, "input"), 0)
    if found and isinstance(found.facts, DeviceTree):
        required_keys(found.facts)


def _elves(_work: Path) -> Iterator[bytes]:
    yield Program(code=2048).content
    yield Program(bits=32, order=">", machine=20, code=2048, hash_table=True, run_path="/a:/b").content
    yield Program(dynamic=False, names=("main", "__stack_chk_fail"), code=2048).content
    yield Program(sections=False, code=2048).content


@target(seeds=_elves)
def elf(data: bytes) -> None:
    """Programs and their hardening."""
    found = read_elf(from_bytes(data, "input"))
    if found:
        for judge in (
            elf_hardening.position_independent,
            elf_hardening.is_program,
            elf_hardening.bound_at_start,
            elf_hardening.full_relro,
            elf_hardening.data_is_never_code,
            elf_hardening.fortified,
        ):
            judge(found)
        elf_hardening.stack_protector(found, code=1)


def _kernel_images(work: Path) -> Iterator[bytes]:
    configuration = b"IKCFG_ST" + gzip.compress(b"CONFIG_MODULES=y\n" * 20) + b"IKCFG_ED"
    (work / "kernel").write_bytes(b"code" * 100 + configuration)
    yield b"code" * 100 + configuration
    for command in (
        ("gzip", "-c"),
        ("xz", "--check=crc32", "-c"),
        ("lz4", "-l", "-c"),
        ("zstd", "-c"),
        ("bzip2", "-c"),
        ("xz", "--format=lzma", "-c"),
    ):
        payload = tool(*command, work / "kernel")
        yield payload
        yield b"MZ\0\0zimg" + (64).to_bytes(4, "little") + len(payload).to_bytes(4, "little") + bytes(48) + payload
        yield b"\x27\x05\x19\x56" + bytes(8) + len(payload).to_bytes(4, "big") + bytes(48) + payload
        yield bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(64) + payload
        head = bytearray(1024)
        head[0x1F1], head[0x202:0x206], head[0x24C:0x250] = 1, b"HdrS", len(payload).to_bytes(4, "little")
        yield bytes(head) + payload


@target(seeds=_kernel_images)
def kernel(data: bytes) -> None:
    """Kernels and the configuration in them."""
    found = kernel_configuration(from_bytes(data, "input"))
    if found:
        parse_kconfig(found, artefact="input")


def _environments(_work: Path) -> Iterator[bytes]:
    variables = b"bootdelay=-2\0bootcmd=run x\0\0".ljust(4092, b"\xff")
    yield zlib.crc32(variables).to_bytes(4, "little") + variables
    yield b"U-Boot 2024.01 \0bootdelay=2\0"


@target(seeds=_environments)
def u_boot(data: bytes) -> None:
    """Environments of U-Boot, with a right check sum."""
    loaders.u_boot_delays(from_bytes(data, "input"))
    checked = zlib.crc32(data[4:4096]).to_bytes(4, "little") + data[4:4096]
    loaders.u_boot_environments(from_bytes(checked, "input"))
