"""FITs made and signed by mkimage; U-Boot in QEMU says whether it starts them."""

import gzip
import random
import shutil
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.fdt import DeviceTree
from everest_secure.image.fit import Fit, read_fit
from everest_secure.image.fit_signature import configuration_faults, required_keys
from support import fit as board
from support.flat_image import FitKey, device_tree, fit_key, fit_of, fit_source, signed_again, signed_fit
from support.images import gpt_disk, tool

ARGUMENTS = "ro lockdown=integrity rauc.slot="


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> FitKey:
    return fit_key(tmp_path_factory.mktemp("key") / "keys")


@pytest.fixture(scope="module")
def signed(key: FitKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signed_fit(tmp_path_factory.mktemp("fit"), key)


def faults(fit: Fit, key: FitKey) -> dict[str, tuple[str, ...]]:
    return {name: configuration_faults(fit, each, key.public()) for name, each in fit.configurations.items()}


def test_a_fit_says_what_it_starts(signed: Path) -> None:
    artefact = open_artefact(signed)
    fit = fit_of(signed)
    assert (artefact.kind, fit.default) == ("fit", "conf-a")
    assert [(child.name, child.kind) for child in artefact.children] == [
        ("test.fit:kernel", "kernel"),
        ("test.fit:ramdisk", "unknown"),
        ("test.fit:fdt-a", "device-tree"),
        ("test.fit:fdt-b", "device-tree"),
    ]
    for slot in ("a", "b"):
        configuration = fit.configurations[f"conf-{slot}"]
        assert dict(configuration.images) == {"kernel": ("kernel",), "ramdisk": ("ramdisk",), "fdt": (f"fdt-{slot}",)}
        assert fit.command_lines(configuration) == (ARGUMENTS + slot,)
        (signature,) = configuration.signatures
        named = (signature.algorithm, signature.padding, signature.key_name, len(signature.value))
        assert named == ("sha256,rsa2048", "pkcs-1.5", "everest", 256)
        assert signature.sign_images == ("kernel", "ramdisk", "fdt")
    kernel = fit.images["kernel"]
    assert kernel.content.read(0, kernel.content.size) == (signed.parent / "kernel").read_bytes()
    assert (kernel.type, kernel.compression, kernel.wrong_hashes()) == ("kernel", "none", ())


def test_a_fit_in_a_partition_larger_than_it_is_opened(signed: Path, tmp_path: Path) -> None:
    disk = open_artefact(gpt_disk(tmp_path / "disk.wic", {"fit-a": signed, "fit-b": None}))
    assert [child.kind for child in disk.children] == ["fit", "empty"]


@pytest.mark.parametrize("options", [(), ("-E",), ("-E", "-p", "0x8000")])
@pytest.mark.parametrize("padding", ["pkcs-1.5", "pss"])
def test_what_mkimage_signed_holds(key: FitKey, tmp_path: Path, options: tuple[str, ...], padding: str) -> None:
    """Data in the tree, behind it, and at a fixed position."""
    fit = fit_of(signed_fit(tmp_path, key, *options, padding=padding))
    assert faults(fit, key) == {"conf-a": (), "conf-b": ()}


@pytest.mark.parametrize(("bits", "digest"), [(4096, "sha256"), (3072, "sha384"), (2048, "sha512")])
def test_keys_and_digests_that_u_boot_knows_are_verified(tmp_path: Path, bits: int, digest: str) -> None:
    strong = fit_key(tmp_path / "keys", bits=bits)
    fit = fit_of(signed_fit(tmp_path / "fit", strong, bits=bits, digest=digest))
    assert faults(fit, strong) == {"conf-a": (), "conf-b": ()}


@pytest.mark.usefixtures("signed")
def test_the_key_in_u_boot_s_device_tree_is_the_certificate_s(key: FitKey) -> None:
    facts = open_artefact(key.tree).facts
    assert isinstance(facts, DeviceTree)
    (found,) = required_keys(facts)
    assert (found.name, found.algorithm, found.required) == ("everest", "sha256,rsa2048", "conf")
    said = tool("openssl", "x509", "-noout", "-modulus", "-in", key.directory / "everest.crt").decode().strip()
    assert said == f"Modulus={found.key.public_numbers().n:X}"


def test_another_key_and_no_signature_are_faults(key: FitKey, signed: Path, tmp_path: Path) -> None:
    other = fit_key(tmp_path / "other")
    signed_fit(tmp_path / "by-other", other)
    assert all("not that of the required key" in found[0] for found in faults(fit_of(signed), other).values())
    unsigned = fit_of(signed_fit(tmp_path / "unsigned", None))
    assert faults(unsigned, key)["conf-a"] == ("/configurations/conf-a is not signed",)


def test_a_key_of_another_length_is_a_fault_as_u_boot_refuses_it(signed: Path, tmp_path: Path) -> None:
    long = fit_key(tmp_path / "long", bits=4096)
    signed_fit(tmp_path / "by-long", long, bits=4096)
    assert "the signature is for rsa2048 and has 2048 bits, the key has 4096" in faults(fit_of(signed), long)["conf-a"][0]


def test_a_changed_kernel_is_a_fault(signed: Path, key: FitKey, tmp_path: Path) -> None:
    content = signed.read_bytes()
    at = content.index(bytes(range(256)))
    (tmp_path / "changed.fit").write_bytes(content[:at] + b"\xff" + content[at + 1 :])
    assert faults(fit_of(tmp_path / "changed.fit"), key)["conf-a"] == ("/images/kernel/hash-1: the sha256 of the image is another",)


def test_a_changed_command_line_is_a_fault_even_with_its_digest_made_anew(signed: Path, key: FitKey, tmp_path: Path) -> None:
    changed = tmp_path / "changed.fit"
    changed.write_bytes(signed.read_bytes().replace(b"lockdown=integrity", b"lockdown=nothing!!"))
    tool("mkimage", "-F", changed)
    fit = fit_of(changed)
    assert fit.images["fdt-a"].wrong_hashes() == ()
    assert "not that of the required key" in faults(fit, key)["conf-a"][0]


def test_an_image_that_the_signature_leaves_out_is_a_fault(key: FitKey, tmp_path: Path) -> None:
    fit = fit_of(signed_fit(tmp_path, key, covers='"kernel", "fdt"'))
    assert faults(fit, key)["conf-b"] == ("/configurations/conf-b/signature-1 does not cover /images/ramdisk",)


def test_a_signature_of_another_configuration_is_a_fault(signed: Path, key: FitKey, tmp_path: Path) -> None:
    changed = Path(shutil.copy(signed, tmp_path / "swapped.fit"))
    for name in ("value", "hashed-nodes"):
        form = "bx" if name == "value" else "s"
        found = tool("fdtget", "-t", form, changed, "/configurations/conf-a/signature-1", name).decode().split()
        tool("fdtput", "-t", form, changed, "/configurations/conf-b/signature-1", name, *found)
    assert "signature-1 does not cover /configurations/conf-b" in faults(fit_of(changed), key)["conf-b"][0]


def test_nodes_that_only_older_versions_of_u_boot_would_look_at_are_a_fault(signed: Path, key: FitKey, tmp_path: Path) -> None:
    for number, (nodes, message) in enumerate(
        [(["/"], "does not cover /configurations/conf-a"), (None, "covers /images/fdt-b, which /configurations/conf-a does not start")]
    ):
        changed = Path(shutil.copy(signed, tmp_path / f"{number}.fit"))
        node = "/configurations/conf-a/signature-1"
        listed = tool("fdtget", "-t", "s", changed, node, "hashed-nodes").decode().split()
        tool("fdtput", "-t", "s", changed, node, "hashed-nodes", *(nodes or [*listed, "/images/fdt-b"]))
        assert message in faults(fit_of(changed), key)["conf-a"][0]


def test_unit_addresses_are_a_fault_as_u_boot_refuses_them(signed: Path, key: FitKey, tmp_path: Path) -> None:
    changed = Path(shutil.copy(signed, tmp_path / "changed.fit"))
    tool("fdtput", "-c", changed, "/images/kernel@1")
    assert faults(fit_of(changed), key)["conf-a"] == ("/images/kernel@1 has a unit address, which U-Boot refuses in a signed FIT",)


def test_names_of_properties_that_are_not_covered_are_a_fault(signed: Path, key: FitKey, tmp_path: Path) -> None:
    changed = Path(shutil.copy(signed, tmp_path / "names.fit"))
    for size, message in (("8", "signature-1 does not cover the name of"), ("ffffff", "covers 16777215 bytes of strings")):
        tool("fdtput", "-t", "x", changed, "/configurations/conf-a/signature-1", "hashed-strings", "0", size)
        assert message in faults(fit_of(changed), key)["conf-a"][0]


def test_a_digest_that_is_none_authenticates_nothing(key: FitKey, tmp_path: Path) -> None:
    fit = signed_fit(tmp_path / "first", key)
    source = (tmp_path / "first/test.its").read_text().replace('hash-1 { algo = "sha256"', 'hash-1 { algo = "crc32"')
    (tmp_path / "weak.its").write_text(source)
    tool("mkimage", "-f", tmp_path / "weak.its", "-k", key.directory, fit)
    assert "/images/kernel has no digest of sha256, sha384, sha512" in faults(fit_of(fit), key)["conf-a"][0]


def test_every_bootargs_that_could_count_is_a_command_line(tmp_path: Path) -> None:
    overlay = device_tree(tmp_path / "overlay.dtb", '/ { fragment@0 { __overlay__ { bootargs = "init=/bin/sh"; }; }; };')
    base = device_tree(tmp_path / "base.dtb", '/ { chosen { bootargs = "ro"; }; other { bootargs = "no"; }; };')
    (tmp_path / "kernel").write_bytes(b"k")
    parts = {"kernel": tmp_path / "kernel", "ramdisk": tmp_path / "kernel", "fdt-a": base, "fdt-b": overlay}
    source = fit_source(parts, algorithm="", padding="", name="", covers="").replace('fdt = "fdt-a"', 'fdt = "fdt-a", "fdt-b"')
    (tmp_path / "test.its").write_text(source)
    tool("mkimage", "-f", tmp_path / "test.its", tmp_path / "test.fit")
    fit = fit_of(tmp_path / "test.fit")
    assert fit.command_lines(fit.configurations["conf-a"]) == ("ro", "init=/bin/sh")


def test_a_compressed_device_tree_is_read_and_a_bomb_is_refused(signed: Path, tmp_path: Path) -> None:
    for content, outcome in ((Path(signed.parent / "a.dtb").read_bytes(), ARGUMENTS + "a"), (bytes(64 * 1024 * 1024), None)):
        packed = tmp_path / "packed.gz"
        packed.write_bytes(gzip.compress(content, mtime=0))
        (tmp_path / "kernel").write_bytes(b"k")
        parts = {"kernel": tmp_path / "kernel", "ramdisk": tmp_path / "kernel", "fdt-a": packed, "fdt-b": packed}
        source = fit_source(parts, algorithm="", padding="", name="", covers="")
        (tmp_path / "test.its").write_text(
            source.replace('"flat_dt"; arch = "arm64"; os = "linux"; compression = "none"', '"flat_dt"; compression = "gzip"')
        )
        tool("mkimage", "-f", tmp_path / "test.its", tmp_path / "test.fit")
        fit = fit_of(tmp_path / "test.fit")
        if outcome:
            assert fit.command_lines(fit.configurations["conf-a"]) == (outcome,)
        else:
            with pytest.raises(ArtefactError, match="corrupt or larger than"):
                fit.command_lines(fit.configurations["conf-a"])


@pytest.mark.parametrize("cut", [100, 500, 5000])
def test_a_truncated_fit_is_refused(key: FitKey, tmp_path: Path, cut: int) -> None:
    for name, options in (("inside", ()), ("behind", ("-E",))):
        short = tmp_path / f"{name}.fit"
        short.write_bytes(signed_fit(tmp_path / name, key, *options).read_bytes()[:-cut])
        with pytest.raises(ArtefactError, match=r"truncated|beyond the end"):
            open_artefact(short)


def test_whatever_byte_is_changed_what_is_still_accepted_starts_the_same(signed: Path, key: FitKey) -> None:
    raw, public = signed.read_bytes(), key.public()

    def started(fit: Fit) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, each in fit.configurations.items():
            if not configuration_faults(fit, each, public):
                contents = {
                    kind: [fit.images[one].content.read(0, fit.images[one].content.size) for one in names]
                    for kind, names in each.images.items()
                }
                found[name] = (contents, fit.command_lines(each))
        return found

    good = started(fit_of(signed))
    rng = random.Random(4)
    kept = 0
    for _ in range(400):
        changed = bytearray(raw)
        changed[rng.randrange(4, len(raw))] ^= 1 << rng.randrange(8)
        blob = from_bytes(bytes(changed), "changed.fit")
        try:
            found = started(read_fit(DeviceTree(blob), blob))
        except (ArtefactError, KeyError):
            continue
        kept += bool(found)
        assert all(good.get(name) == each for name, each in found.items())
    assert kept < 400


def test_u_boot_starts_what_is_found_without_fault_and_refuses_the_rest(tmp_path: Path) -> None:
    image = board.parts(tmp_path / "parts", bits=2048)
    parts = {"kernel": image.deploy / "Image", "ramdisk": image.deploy / "everest-secure-initramfs-qemux86-64.cpio.zst"}
    parts |= {f"fdt-{slot}": image.deploy / "board.dtb" for slot in ("a", "b")}
    (tmp_path / "test.its").write_text(
        fit_source(parts, algorithm="sha256,rsa2048", padding="pkcs-1.5", name="everest", covers='"kernel", "ramdisk", "fdt"')
    )
    tool("mkimage", "-f", tmp_path / "test.its", tmp_path / "plain.fit")
    tree = board.trusting(image, tmp_path / "plain.fit", tmp_path / "trusting")
    key = FitKey(tmp_path / "trusting/keys", "everest", tree)
    good = signed_again(tmp_path / "plain.fit", key, tmp_path / "good.fit")
    broken = {name: tmp_path / f"{name}.fit" for name in ("kernel", "strings", "address", "signature")}
    content = bytearray(good.read_bytes())
    content[content.index(b"ARM\x64")] ^= 1
    broken["kernel"].write_bytes(content)
    for name, node, prop, form, value in (
        ("signature", "/configurations/conf-a/signature-1", "value", "x", "1"),
        ("strings", "/configurations/conf-a/signature-1", "hashed-strings", "x", "0"),
        ("address", "/images/kernel", "load", "x", "40800000"),
    ):
        shutil.copyfile(good, broken[name])
        tool("fdtput", "-t", form, broken[name], node, prop, value)
    assert faults(fit_of(good), key)["conf-a"] == ()
    assert "Starting kernel" in board.start(good, "conf-a", tree)
    for name, path in broken.items():
        assert faults(fit_of(path), key)["conf-a"] != (), name
        assert "Starting kernel" not in board.start(path, "conf-a", tree), name
