import json
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Outcome, Root, registered, run_check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.blob import from_bytes, from_file
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.parse.encryption import read_luks
from everest_secure.result import CheckResult
from support.images import tool
from support.mutation import Mutation
from support.reference import require
from support.rootfs import UNITS, RootFs, failing, good_root, layer, production

CRYPTTAB = "/etc/crypttab"
DEFINITION = "/usr/lib/repart.d/50-data.conf"
TOKEN = {
    "type": "systemd-tpm2",
    "keyslots": ["0"],
    "tpm2-blob": "AAAA",
    "tpm2-pcrs": [7],
    "tpm2-pcr-bank": "sha256",
    "tpm2-policy-hash": "00" * 32,
}


def encrypted() -> RootFs:
    """The good root with EVEREST_DATA_ENCRYPTION."""
    fs = good_root().file(CRYPTTAB, layer("recipes-core/everest-data-partition/files/crypttab"))
    fs.file(DEFINITION, "[Partition]\nType=linux-generic\nLabel=data\nFormat=ext4\nEncrypt=tpm2\n")
    return fs.replace(f"{UNITS}/var.mount", "^What=.*$", "What=/dev/mapper/data")


def judged(fs: RootFs, *partitions: Artefact) -> CheckResult:
    checks.load()
    root = fs.root
    (entry,) = [each for each in registered() if each.function.__name__ == "the_data_partition_is_encrypted_with_a_key_of_the_tpm"]
    container = Artefact("disk", "gpt", children=partitions) if partitions else root.container
    return run_check(entry, Root(root.artefact, root.tree, container), "rootfs", production())


def test_the_layer_s_encrypted_data_partition_holds() -> None:
    result = judged(encrypted())
    assert (result.outcome, len(result.seen)) == (Outcome.PASS, 1)


def test_what_is_not_encrypted_is_for_evidence_to_decide() -> None:
    assert judged(good_root()).outcome is Outcome.NOT_APPLICABLE
    assert judged(good_root().file(DEFINITION, "[Partition]\nEncrypt=off\n")).outcome is Outcome.NOT_APPLICABLE


MUTATIONS = [
    Mutation("the partition is made with a key file", "FS-04", lambda fs: fs.replace(DEFINITION, "^Encrypt=tpm2$", "Encrypt=key-file")),
    Mutation("the partition is made with a password", "FS-04", lambda fs: fs.replace(DEFINITION, "^Encrypt=tpm2$", "Encrypt=yes")),
    Mutation("a drop-in takes the TPM out", "FS-04", lambda fs: fs.file(f"{DEFINITION}.d/x.conf", "[Partition]\nEncrypt=key-file\n")),
    Mutation("the key lies in the image", "FS-04", lambda fs: fs.replace(CRYPTTAB, " none ", " /etc/data.key ")),
    Mutation("somebody is asked for a password", "FS-04", lambda fs: fs.replace(CRYPTTAB, "tpm2-device=auto,", "")),
    Mutation("another device is mounted", "FS-04", lambda fs: fs.replace(f"{UNITS}/var.mount", "^What=.*$", "What=/dev/sda5")),
    Mutation("nothing opens the volume", "FS-04", lambda fs: fs.remove(CRYPTTAB)),
    Mutation("nothing is mounted", "FS-04", lambda fs: fs.remove(f"{UNITS}/var.mount")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_an_encryption_that_does_not_protect_is_found(mutation: Mutation) -> None:
    fs = encrypted()
    mutation.apply(fs)
    result = judged(fs)
    assert (result.outcome, len(result.findings)) == (Outcome.FAIL, 1)


REPART = f"{UNITS}/systemd-repart.service"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", False),
        (" --tpm2-pcrs=7+14", False),
        (" --tpm2-pcrs=0:sha256+secure-boot-policy", False),
        (" --tpm2-pcrs=", True),
        (" --tpm2-pcrs=7 --tpm2-pcrs=17", True),
        (" --tpm2-pc=17", True),
        (" --tpm2-pcrs=7:sha256 --tpm2-pcrs 0+2", True),
    ],
)
def test_the_key_is_bound_to_what_secure_boot_accepts(given: str, *, found: bool) -> None:
    fs = encrypted().file(REPART, f"[Service]\nExecStart=systemd-repart --dry-run=no{given}\n")
    assert ("FS-04" in failing(fs)) is found


def test_the_initial_ram_disk_seals_to_it_too() -> None:
    fs = encrypted()
    ram_disk = RootFs().file(REPART, "[Service]\nExecStart=/usr/bin/systemd-repart --dry-run=no --tpm2-pcrs=11\n").root
    part = Artefact("initrd", INITRAMFS, tree=ram_disk.tree)
    checks.load()
    (entry,) = [each for each in registered() if each.function.__name__ == "the_key_of_the_data_partition_is_bound_to_the_boot_chain"]
    root = Root(fs.root.artefact, fs.root.tree, Artefact("disk", "gpt", children=(part,)))
    (finding,) = run_check(entry, root, "rootfs", production()).findings
    assert (finding.at.artefact, finding.at.path) == ("initrd", REPART)


@pytest.mark.parametrize(
    ("device", "found"), [("/dev/mmcblk0p7", True), ("PARTLABEL=swap", True), ("/dev/zram0", False), ("/dev/mapper/swap", False)]
)
def test_memory_is_swapped_to_no_device_that_is_not_encrypted(device: str, *, found: bool) -> None:
    unit = encrypted().file(f"{UNITS}/dev-swap.swap", f"[Swap]\nWhat={device}\n")
    unit.link("/etc/systemd/system/swap.target.wants/dev-swap.swap", f"{UNITS}/dev-swap.swap")
    unit.file(f"{UNITS}/swap.target", "[Unit]\n").link("/etc/systemd/system/sysinit.target.wants/swap.target", f"{UNITS}/swap.target")
    fstab = encrypted().file("/etc/fstab", f"{device} none swap defaults 0 0\n")
    assert ["FS-04" in failing(fs) for fs in (unit, fstab)] == [found, found]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LUKS2 volume with a token as systemd-cryptenroll leaves one."""
    require("cryptsetup")
    work = tmp_path_factory.mktemp("luks")
    (work / "key").write_bytes(b"secret")
    with (work / "volume").open("wb") as file:
        file.truncate(20 << 20)
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    tool("cryptsetup", "luksFormat", "--type", "luks2", "--batch-mode", *quick, "--key-file", work / "key", work / "volume")
    tool("cryptsetup", "token", "import", "--json-file", "-", work / "volume", stdin=json.dumps(TOKEN).encode())
    return work / "volume"


def partition(path: Path) -> Artefact:
    return Artefact("disk:data", "unknown", from_file(path))


def test_a_volume_on_the_disk_needs_a_key_of_the_tpm(volume: Path, tmp_path: Path) -> None:
    assert judged(encrypted(), partition(volume)).outcome is Outcome.PASS
    bare = tmp_path / "bare"
    bare.write_bytes(volume.read_bytes().replace(b"systemd-tpm2", b"somebody-set"))
    result = judged(encrypted(), partition(bare))
    assert [finding.at.artefact for finding in result.findings] == ["disk:data"]


def test_a_second_key_opens_the_volume_without_the_tpm(volume: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    two.write_bytes(volume.read_bytes())
    (tmp_path / "other").write_bytes(b"password")
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    tool("cryptsetup", "luksAddKey", "--batch-mode", *quick, "--key-file", volume.with_name("key"), two, tmp_path / "other")
    (finding,) = judged(encrypted(), partition(two)).findings
    assert finding.what == "1 other keys than that of the TPM open the volume"


def test_luks1_keeps_no_key_of_a_tpm() -> None:
    header = from_bytes(b"LUKS\xba\xbe\0\1" + bytes(8192), "a")
    found = read_luks(header)
    assert found is not None
    assert found.version == 1
    result = judged(encrypted(), Artefact("disk:data", "unknown", header))
    assert "LUKS1" in result.findings[0].what


def test_a_damaged_header_is_an_error_and_never_a_pass(volume: Path) -> None:
    head = volume.read_bytes()[: 1 << 20]
    for damaged in (
        head[:4096] + b"!" + head[4097:],
        head[:8] + b"\xff" * 8 + head[16:],
        head[:4096] + b'{"tokens": [1]}\0' + bytes(99999),
    ):
        with pytest.raises(ArtefactError, match="whose header is damaged"):
            read_luks(from_bytes(damaged, "a"))
    result = judged(encrypted(), replace(partition(volume), blob=from_bytes(head[:8] + b"\xff" * 8 + head[16:], "a")))
    assert result.outcome is Outcome.ERROR


@pytest.mark.parametrize("content", [b"", b"LUKS", bytes(9000)])
def test_what_is_no_volume_is_none(content: bytes) -> None:
    assert read_luks(from_bytes(content, "a")) is None
