"""Encryption of the data partition: FS-04."""

import re

from everest_secure.checks.common import at, executes, options, services, started
from everest_secure.checks.core import Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.image.artefact import Artefact
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.tree import printable
from everest_secure.parse.encryption import CRYPTTAB, TPM_TOKEN, LuksHeader, read_crypttab, read_luks
from everest_secure.parse.mounts import mount_of, read_mounts
from everest_secure.parse.repart import partitions
from everest_secure.policy.parameters import Parameters

_DATA = "/var"
_MAPPED, _MEMORY = "/dev/mapper/", "/dev/zram"
_DEVICES = ("/dev/", "LABEL=", "UUID=", "PARTLABEL=", "PARTUUID=")
_KEYS = ("/etc/cryptsetup-keys.d", "/usr/lib/cryptsetup-keys.d")
"""Where systemd-cryptsetup looks for VOLUME.key by itself (crypttab(5); `/run` is empty in an image)."""
_REPART = "systemd-repart"
_REGISTERS = ("--tpm2-pcrs", "--tpm2-pcr", "--tpm2-pc")
"""As getopt_long(3) lets it be shortened."""
_SECURE_BOOT = re.compile(r"(?:7|secure-boot-policy)(?::|$)")
"""PCR 7, which says what secure boot accepts, as a word of `--tpm2-pcrs=` (systemd-cryptenroll(1))."""
_REMEDY = "Build with EVEREST_DATA_ENCRYPTION = \"1\", or without it and record the decision under 'evidence'."


@check("FS-04", on=Scope.ROOT)
def the_data_partition_is_encrypted_with_a_key_of_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """Made, opened and mounted as a LUKS2 volume that only the TPM opens; what is encrypted nowhere is for evidence to decide."""
    made = [partition for partition in partitions(root.tree) if partition.encrypt != "off"]
    volumes = read_crypttab(root.tree)
    headers = _headers(root.container)
    if not made and not volumes and not headers:
        raise NotApplicable("the data partition is not encrypted")
    for each in made:
        if each.encrypt != "tpm2":
            what = f"systemd-repart encrypts the partition '{each.label}' with another key than the TPM's: Encrypt={each.encrypt}"
            note.finding(what, at=at(root, each.path), remedy=_REMEDY)
    for name, header in headers:
        _judge_header(name, header, note)
    mount = mount_of(f"{_DATA}/lib", read_mounts(root.tree, started(root)))
    source = mount.what if mount else ""
    volume = next((each for each in volumes if source == f"{_MAPPED}{each.name}"), None)
    if volume is None:
        what = f"what is mounted on {_DATA} is no encrypted volume of {CRYPTTAB}: {source or 'nothing is mounted there'}"
        note.finding(what, at=at(root, CRYPTTAB), remedy=_REMEDY)
    elif volume.key:
        what = f"the key of the volume '{volume.name}' lies in a file, {volume.key}"
        note.finding(what, at=at(root, CRYPTTAB, volume.line), remedy="Let the TPM open it: 'none' and tpm2-device=auto.")
    elif not volume.by_tpm:
        what = f"the volume '{volume.name}' is opened with a password"
        note.finding(what, at=at(root, CRYPTTAB, volume.line), remedy="Let the TPM open it: tpm2-device=auto.")
    elif weak := volume.weakened:
        what = f"the volume '{volume.name}' is not protected by the TPM's key alone: {weak}"
        note.finding(what, at=at(root, CRYPTTAB, volume.line), remedy="Take the option out.")
    else:
        note.saw(f"{CRYPTTAB}: {volume.name} on {volume.device} is opened by the TPM and mounted on {mount.where if mount else _DATA}")


@check("FS-04", on=Scope.ROOT)
def the_key_of_the_data_partition_is_bound_to_the_boot_chain(root: Root, policy: Parameters, note: Notes) -> None:
    """Whatever runs systemd-repart, in the root and in each initial RAM disk, lets it seal the key to PCR 7, its default in systemd 255."""
    if not any(partition.encrypt == "tpm2" for partition in partitions(root.tree)):
        raise NotApplicable("systemd-repart makes no volume with a key of the TPM")
    ram_disks = (
        Root(part, part.tree, root.container) for part in root.container.walk() if part.kind == INITRAMFS and part.tree is not None
    )
    for place in (root, *ram_disks):
        for unit in services(place):
            for command in (each for each in unit.commands if executes(place, each, _REPART)):
                registers = next(reversed(options(command, *_REGISTERS)), None)
                if registers is None or any(_SECURE_BOOT.match(register) for register in re.split("[+,]", registers)):
                    note.saw(f"{at(place, unit.path)}: {_REPART} seals to the registers {registers or 'of its default'}")
                    continue
                what = f"{unit.name} has the key sealed to other registers than PCR 7: --tpm2-pcrs={printable(registers)}, so that any boot chain opens the volume"
                note.finding(what, at=at(place, unit.path), remedy="Take the option out, or have 7 in it.")
    if not note.seen and not note.findings:
        raise NotApplicable(f"no unit of the root or of an initial RAM disk runs {_REPART}")


@check("FS-04", on=Scope.ROOT)
def nothing_of_the_data_lies_beside_the_encrypted_volume(root: Root, policy: Parameters, note: Notes) -> None:
    """Where the data partition is encrypted, no other device is mounted for writing below it or swapped to, and no key lies in the image."""
    volumes = read_crypttab(root.tree)
    if not volumes:
        raise NotApplicable("the data partition is not encrypted")
    for mount in read_mounts(root.tree, started(root)):
        swap = mount.type == "swap"
        plain = mount.what.startswith(_DEVICES) and not mount.what.startswith((_MAPPED, _MEMORY)) and "ro" not in mount.options
        if plain and "bind" not in mount.options and (swap or f"{mount.where}/".startswith(f"{_DATA}/")):
            what = f"{mount.what} is {'swapped to' if swap else f'mounted on {mount.where}'} and is not encrypted"
            note.finding(what, at=at(root, mount.path, mount.line), remedy="Keep all data on the encrypted volume.")
    for directory in _KEYS:
        for node in root.tree.children(directory):
            what = f"{node.path} is a key by which systemd-cryptsetup opens a volume"
            note.finding(what, at=at(root, node.path), remedy="Take the key out of the image: the TPM opens the volume.")
    made = {f"/dev/disk/by-partlabel/{each.label}": each for each in partitions(root.tree)}
    for volume in volumes:
        partition = made.get(volume.device) or made.get(volume.device.replace("PARTLABEL=", "/dev/disk/by-partlabel/"))
        if partition is not None and partition.encrypt == "off":
            what = f"systemd-repart makes the partition '{partition.label}' without encryption"
            note.finding(what, at=at(root, partition.path), remedy=_REMEDY)
    note.saw(f"{CRYPTTAB}: {len(volumes)} volumes")


def _headers(container: Artefact) -> list[tuple[str, LuksHeader]]:
    """Return the LUKS volumes of a disk that is shipped with them."""
    found = ((part.name, read_luks(part.blob)) for part in container.walk() if part.kind == "unknown" and part.blob is not None)
    return [(name, header) for name, header in found if header is not None]


def _judge_header(name: str, header: LuksHeader, note: Notes) -> None:
    if header.version != 2:
        note.finding("the volume is LUKS1, which keeps no key of a TPM", at=Location(name), remedy="Make it with LUKS2.")
    elif TPM_TOKEN not in header.tokens:
        what = "no key of a TPM opens the volume, as systemd-cryptenroll would have added one"
        note.finding(what, at=Location(name), remedy="Enroll the TPM at first boot, or let systemd-repart make the volume there.")
    elif header.other_keys:
        what = f"{header.other_keys} other keys than that of the TPM open the volume"
        note.finding(what, at=Location(name), remedy="Remove their key slots: systemd-cryptenroll --wipe-slot=.")
    else:
        note.saw(f"{name}: LUKS2 with a key of the TPM")
