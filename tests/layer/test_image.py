import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.reference.recipes.harness import read_recipe, run_image_hooks
from support.layer import LAYER, Bench

pytestmark = pytest.mark.layer

IMAGE = "everest-secure-image-development"
PRODUCTION = "everest-secure-image"
DEBUG_FEATURES = (
    "allow-empty-password",
    "allow-root-login",
    "debug-tweaks",
    "empty-root-password",
    "post-install-logging",
    "serial-autologin-root",
)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """As much of a root file system as the hooks look at."""
    root = tmp_path / "rootfs"
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/os-release").write_text('ID=everest-secure\nVARIANT_ID="of somebody else"\n')
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\neverest:x:1500:1500::/home/everest:/bin/false\n")
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\neverest:!:20000:0:99999:7:::\n")
    (root / "etc/systemd/system/debug-shell.service").symlink_to("/dev/null")
    (root / "usr/lib/systemd/system-preset").mkdir(parents=True)
    (root / "usr/lib/systemd/system-preset/20-everest-secure.preset").write_text("disable *\n")
    return root


def run(layer: Bench, rootfs: Path, **settings: str) -> None:
    run_image_hooks(IMAGE, rootfs=rootfs, layer=LAYER, work=layer.work, settings={**layer.settings, **settings})


def test_the_image_is_read_only(layer: Bench) -> None:
    found = read_recipe(IMAGE, ["IMAGE_FEATURES", "IMAGE_INSTALL"], layer=LAYER, work=layer.work, settings=layer.settings)
    assert found["IMAGE_FEATURES"].split() == ["read-only-rootfs"]
    assert "packagegroup-everest-secure" in found["IMAGE_INSTALL"].split()


@pytest.mark.parametrize(
    ("feature", "requirement"),
    [*((feature, "ACC-01") for feature in DEBUG_FEATURES), ("ssh-server-openssh", "NET-06"), ("tools-debug", "BIN-02")],
)
def test_a_feature_that_opens_a_door_is_refused_with_the_reason(layer: Bench, feature: str, requirement: str) -> None:
    with pytest.raises(UserError, match=f"{requirement}: the image feature '{feature}' .*; take it out of"):
        read_recipe(IMAGE, ["PN"], layer=LAYER, work=layer.work, settings={"EXTRA_IMAGE_FEATURES": feature})


@pytest.mark.parametrize(
    ("image", "settings", "said"),
    [
        (IMAGE, {"IMAGE_FEATURES:remove": "read-only-rootfs"}, "FS-01: the image feature 'read-only-rootfs' is missing"),
        (IMAGE, {"IMAGE_INSTALL:append": " everest-admin-panel"}, "NET-03: the package 'everest-admin-panel' lets everyone"),
        (IMAGE, {"IMAGE_INSTALL:append": " strace"}, "BIN-02: the package 'strace'"),
        (IMAGE, {"EVEREST_PRODUCTION": "1"}, "RAUC-02: everest-secure-image-development is for the workshop"),
        (IMAGE, {"EVEREST_IMAGE_VARIANT": "everest-secure"}, "RAUC-02: a development image calls itself 'everest-secure'"),
        (IMAGE, {"IMAGE_INSTALL:append": " everest-keyring"}, "RAUC-02: .* would trust the authority of the other variant"),
        (PRODUCTION, {}, "RAUC-02: everest-secure-image is for the field and this is no production build"),
        (PRODUCTION, {"EVEREST_PRODUCTION": "1", "EVEREST_IMAGE_VARIANT": "x-development"}, "RAUC-02: a production image calls itself"),
        (PRODUCTION, {"EVEREST_PRODUCTION": "1", "EVEREST_VERITY": "0"}, "FS-02: EVEREST_VERITY is not 1"),
        (
            PRODUCTION,
            {"EVEREST_PRODUCTION": "1"},
            r"[A-Z]+-\d\d: EVEREST_\w+ is empty in a production build; set it \(",
        ),
    ],
)
def test_a_contradiction_is_refused_in_one_sentence(layer: Bench, image: str, settings: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_recipe(image, ["PN"], layer=LAYER, work=layer.work, settings=settings)


@pytest.mark.parametrize(
    ("image", "production", "variant", "keyring"),
    [(IMAGE, "0", "everest-secure-development", "everest-keyring-development"), (PRODUCTION, "1", "everest-secure", "everest-keyring")],
)
def test_each_variant_has_its_name_and_its_keyring(layer: Bench, image: str, production: str, variant: str, keyring: str) -> None:
    required = read_recipe(IMAGE, ["EVEREST_REQUIRED_IN_PRODUCTION"], layer=LAYER, work=layer.work, settings={})
    settings = dict.fromkeys(required["EVEREST_REQUIRED_IN_PRODUCTION"].split(), "of the product") | {"EVEREST_PRODUCTION": production}
    found = read_recipe(image, ["EVEREST_IMAGE_VARIANT", "IMAGE_INSTALL"], layer=LAYER, work=layer.work, settings=settings)
    assert found["EVEREST_IMAGE_VARIANT"] == variant
    assert [name for name in found["IMAGE_INSTALL"].split() if name.startswith("everest-keyring")] == [keyring]


def test_the_release_file_has_the_real_version(layer: Bench, rootfs: Path) -> None:
    run(layer, rootfs, EVEREST_VERSION="2026.02.1", SOURCE_DATE_EPOCH="1767225600", EVEREST_UPDATE_CHANNEL="release")
    release = json.loads((rootfs / "etc/everest/everest_release.json").read_text())
    assert (release["version"], release["datetime"], release["channel"]) == ("2026.02.1", "2026-01-01T00:00:00Z", "release")
    assert {"name": "everest-core", "version": "2026.02.1"} in release["components"]


@pytest.mark.parametrize(
    ("settings", "date"),
    [
        ({"REPRODUCIBLE_TIMESTAMP_ROOTFS": "1767225600", "SOURCE_DATE_EPOCH": "1"}, "2026-01-01"),
        ({"REPRODUCIBLE_TIMESTAMP_ROOTFS": "", "SOURCE_DATE_EPOCH": "1767225600"}, "2026-01-01"),
    ],
)
def test_the_release_file_has_the_date_of_the_sources(layer: Bench, rootfs: Path, settings: dict[str, str], date: str) -> None:
    run(layer, rootfs, **settings)
    assert json.loads((rootfs / "etc/everest/everest_release.json").read_text())["datetime"].startswith(date)


def test_without_a_date_of_the_sources_the_release_was_made_now(layer: Bench, rootfs: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    run(layer, rootfs, REPRODUCIBLE_TIMESTAMP_ROOTFS="", SOURCE_DATE_EPOCH="1302044400", SOURCE_DATE_EPOCH_FALLBACK="1302044400")
    said = datetime.fromisoformat(json.loads((rootfs / "etc/everest/everest_release.json").read_text())["datetime"])
    assert before <= said <= datetime.now(UTC)


def test_an_image_without_os_release_is_refused_in_one_sentence(layer: Bench, rootfs: Path) -> None:
    (rootfs / "usr/lib/os-release").unlink()
    with pytest.raises(UserError, match="LOG-04: the image has no /usr/lib/os-release; install the package os-release"):
        run(layer, rootfs)


def test_the_image_says_which_class_made_it(layer: Bench, rootfs: Path) -> None:
    run(layer, rootfs)
    lines = (rootfs / "usr/lib/os-release").read_text().splitlines()
    assert [line for line in lines if line.startswith("VARIANT_ID=")] == ["VARIANT_ID=everest-secure-development"]
    assert "ID=everest-secure" in lines
    assert f"IMAGE_ID={IMAGE}" in lines


@pytest.mark.parametrize(
    ("file", "text", "requirement"),
    [
        ("etc/shadow", "root::20000:0:99999:7:::\n", "ACC-01"),
        ("etc/shadow", "root:$6$salt$hash:20000:0:99999:7:::\n", "ACC-01"),
        ("etc/passwd", "root::0:0:root:/root:/bin/sh\n", "ACC-01"),
        ("usr/sbin/sshd", "", "NET-06"),
    ],
)
def test_image_qa_stops_at_a_way_to_log_in(layer: Bench, rootfs: Path, file: str, text: str, requirement: str) -> None:
    (rootfs / file).parent.mkdir(exist_ok=True)
    (rootfs / file).write_text(text)
    with pytest.raises(UserError, match=requirement):
        run(layer, rootfs)


def test_image_qa_stops_at_a_debug_shell_that_is_not_masked(layer: Bench, rootfs: Path) -> None:
    (rootfs / "etc/systemd/system/debug-shell.service").unlink()
    with pytest.raises(UserError, match="NET-07"):
        run(layer, rootfs)


def test_no_program_keeps_a_setuid_bit_unless_it_is_named(layer: Bench, rootfs: Path) -> None:
    programs = rootfs / "usr/bin"
    programs.mkdir()
    for name, mode in (("su", 0o4755), ("wall", 0o2755), ("kept", 0o4755), ("plain", 0o755)):
        (programs / name).write_text("")
        (programs / name).chmod(mode)
    (rootfs / "shared").mkdir()
    (rootfs / "shared").chmod(0o2775)
    run(layer, rootfs, EVEREST_SETUID_KEPT="/usr/bin/kept")
    modes = {name: (programs / name).stat().st_mode & 0o7777 for name in ("su", "wall", "kept", "plain")}
    assert modes == {"su": 0o755, "wall": 0o755, "kept": 0o4755, "plain": 0o755}
    assert (rootfs / "shared").stat().st_mode & 0o7777 == 0o2775


@pytest.mark.parametrize("content", ["uninitialized\n", "0123456789abcdef0123456789abcdef\n", None])
def test_machines_do_not_share_an_id_and_no_boot_is_the_first(layer: Bench, rootfs: Path, content: str | None) -> None:
    if content is not None:
        (rootfs / "etc/machine-id").write_text(content)
    run(layer, rootfs)
    assert (rootfs / "etc/machine-id").read_bytes() == b""


def test_no_program_runs_from_the_tmpfs_below_var(layer: Bench, rootfs: Path) -> None:
    others = ["/dev/root / auto ro 1 1", "proc /proc proc defaults 0 0", "tmpfs /run tmpfs mode=0755,nodev,nosuid,strictatime 0 0"]
    (rootfs / "etc/fstab").write_text(
        "\n".join([*others, "tmpfs                /var/volatile        tmpfs      defaults              0  0", ""])
    )
    run(layer, rootfs)
    *kept, volatile = (rootfs / "etc/fstab").read_text().splitlines()
    assert kept == others
    assert volatile.split() == ["tmpfs", "/var/volatile", "tmpfs", "nodev,nosuid,noexec,mode=0755", "0", "0"]
