"""Encryption of the data partition: FS-04."""

from everest_secure.checks.common import at, started
from everest_secure.checks.core import Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.image.artefact import Artefact
from everest_secure.parse.encryption import CRYPTTAB, TPM_TOKEN, LuksHeader, read_crypttab, read_luks
from everest_secure.parse.mounts import mount_of, read_mounts
from everest_secure.parse.repart import partitions
from everest_secure.policy.parameters import Parameters

_DATA = "/var"
_MAPPED = "/dev/mapper/"
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
        if "tpm2" not in each.encrypt:
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
    else:
        note.saw(f"{CRYPTTAB}: {volume.name} on {volume.device} is opened by the TPM and mounted on {mount.where if mount else _DATA}")


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
    else:
        note.saw(f"{name}: LUKS2 with a key of the TPM")
