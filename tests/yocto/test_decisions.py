"""What real OE-Core makes of the distro, of each append of ours and of the images: one parse answers everything (ACC-02, BIN-01, NET-03, SUP-01, KERN-02)."""

from pathlib import Path

import pytest

from support.yocto import LAYER, PROJECT, QUICK, Answers, Checkout

pytestmark = pytest.mark.yocto

IMAGE = "everest-secure-image-development"
BUNDLE = "everest-secure-bundle-development"
QUESTIONS = {
    "": "COPY_LIC_MANIFEST DEPLOY_DIR_IMAGE INHERIT SECURITY_CFLAGS SECURITY_LDFLAGS SERIAL_CONSOLES TMPDIR USERADDEXTENSION USERADD_ERROR_DYNAMIC "
    "VOLATILE_BINDS VOLATILE_LOG_DIR",
    IMAGE: "DISTRO_FEATURES MACHINE_FEATURES EVEREST_IMAGE_VARIANT IMAGE_BUILDINFO_VARS IMAGE_FEATURES IMAGE_FSTYPES IMAGE_PREPROCESS_COMMAND "
    "ERROR_QA IMAGE_QA_COMMANDS PACKAGE_EXCLUDE PACKAGE_INSTALL",
    BUNDLE: "RAUC_BUNDLE_FORMAT RAUC_BUNDLE_SLOTS RAUC_SLOT_rootfs RAUC_SLOT_efi BUNDLE_ARGS",
    "everest-core": "PACKAGECONFIG EXTRA_OECMAKE",
    "everest-user": "USERADD_PARAM:everest-user",
    "rauc-conf": "RDEPENDS:rauc-conf PACKAGE_ARCH",
    "systemd": "PACKAGECONFIG",
    "virtual/kernel": "PN KMETA_AUDIT_WERROR KERNEL_FEATURES",
}


@pytest.fixture(scope="module")
def answers(checkout: Checkout) -> Answers:
    questions = {recipe: variables.split() for recipe, variables in QUESTIONS.items()}
    return checkout.ask("kas/qemux86-64.yml", questions, lines=QUICK)


def words(answers: Answers, recipe: str, variable: str) -> list[str]:
    found = answers.values[recipe][variable]
    assert found is not None, f"{variable} of {recipe or 'the configuration'} is not set"
    return str(found).split()


def test_every_distro_feature_is_one_that_we_chose_and_none_is_there_twice(answers: Answers) -> None:
    chosen = "acl efi everest-secure ext2 ipv4 ipv6 pci rauc seccomp security systemd tpm2 usrmerge vfat xattr"
    assert sorted(words(answers, IMAGE, "DISTRO_FEATURES")) == chosen.split()


def test_of_the_machine_s_features_those_remain_that_a_charger_needs(answers: Answers) -> None:
    features = set(words(answers, IMAGE, "MACHINE_FEATURES"))
    assert {"pci", "rtc", "tpm2"} <= features
    assert not features & {"alsa", "bluetooth", "screen", "usbgadget", "usbhost", "wifi"}


def test_what_is_compiled_is_fortified_and_bound_at_once(answers: Answers) -> None:
    flags = words(answers, "", "SECURITY_CFLAGS")
    assert {"-fstack-protector-strong", "-D_FORTIFY_SOURCE=3", "-Werror=format-security"} <= set(flags)
    assert "-D_FORTIFY_SOURCE=2" not in flags
    assert "-Wl,-z,relro,-z,now" in words(answers, "", "SECURITY_LDFLAGS")


def test_every_id_is_static(answers: Answers) -> None:
    assert answers.values[""]["USERADDEXTENSION"] == "useradd-staticids"
    assert answers.values[""]["USERADD_ERROR_DYNAMIC"] == "error"
    assert "--uid 1500" in (answers.values["everest-user"]["USERADD_PARAM:everest-user"] or "")


def test_nothing_asks_for_a_login_and_logs_are_kept(answers: Answers) -> None:
    settings = answers.values[""]
    assert (settings["SERIAL_CONSOLES"], settings["VOLATILE_BINDS"], settings["VOLATILE_LOG_DIR"]) == ("", "", "no")


def test_an_image_says_what_it_is_made_of(answers: Answers) -> None:
    assert "create-spdx" in words(answers, "", "INHERIT")
    assert answers.values[""]["COPY_LIC_MANIFEST"] == "1"
    assert "buildinfo_image" in words(answers, IMAGE, "IMAGE_PREPROCESS_COMMAND")
    assert {"EVEREST_VERSION", "EVEREST_PRODUCTION"} <= set(words(answers, IMAGE, "IMAGE_BUILDINFO_VARS"))


def test_there_is_one_deploy_directory_which_is_named_after_the_machine(answers: Answers, checkout: Checkout) -> None:
    build = checkout.user.directory / "build"
    assert answers.values[""]["TMPDIR"] == str(build / "tmp")
    assert answers.values[""]["DEPLOY_DIR_IMAGE"] == str(build / "tmp/deploy/images/qemux86-64")


def test_the_image_is_read_only_and_comes_as_slots_and_disk(answers: Answers) -> None:
    assert words(answers, IMAGE, "IMAGE_FEATURES") == ["read-only-rootfs"]
    assert words(answers, IMAGE, "IMAGE_FSTYPES") == ["squashfs-zst.verity", "efi", "wic"]


def test_adaptive_updates_need_a_root_in_erofs_a_kernel_that_reads_it_and_bundles_that_ask_for_it(checkout: Checkout) -> None:
    flags = tuple(f"RAUC_SLOT_{slot}[{flag}]" for slot in ("rootfs", "efi") for flag in ("fstype", "adaptive"))
    questions = {IMAGE: ("IMAGE_FSTYPES", "UKI_CMDLINE"), BUNDLE: flags, "virtual/kernel": ("KERNEL_FEATURES",)}
    found = checkout.ask("kas/qemux86-64.yml:kas/opt/adaptive-updates.yml", questions, lines=QUICK)
    assert words(found, IMAGE, "IMAGE_FSTYPES") == ["erofs-lz4hc.verity", "efi", "wic"]
    assert "rootfstype=erofs" in words(found, IMAGE, "UKI_CMDLINE")
    assert [found.values[BUNDLE][flag] for flag in flags] == ["erofs-lz4hc.verity", "block-hash-index", "efi", "block-hash-index"]
    assert "everest-secure/erofs.scc" in words(found, "virtual/kernel", "KERNEL_FEATURES")


def test_a_development_image_says_so_and_trusts_the_workshop(answers: Answers) -> None:
    assert answers.values[IMAGE]["EVEREST_IMAGE_VARIANT"] == "everest-secure-development"
    installed = words(answers, IMAGE, "PACKAGE_INSTALL")
    assert [package for package in installed if package.startswith("everest-keyring")] == ["everest-keyring-development"]
    assert {"everest-core", "packagegroup-everest-secure", "os-release"} <= set(installed)


def test_no_package_can_pull_in_what_opens_a_door(answers: Answers) -> None:
    assert {"everest-admin-panel", "dropbear", "openssh-sshd", "gdbserver"} <= set(words(answers, IMAGE, "PACKAGE_EXCLUDE"))


def test_what_image_qa_finds_is_an_error(answers: Answers) -> None:
    assert "everest_secure_qa_accounts" in words(answers, IMAGE, "IMAGE_QA_COMMANDS")
    assert "everest-secure" in words(answers, IMAGE, "ERROR_QA")


def test_the_bundle_is_a_verity_bundle_of_that_image(answers: Answers) -> None:
    assert answers.values[BUNDLE]["RAUC_BUNDLE_FORMAT"] == "verity"
    assert words(answers, BUNDLE, "RAUC_BUNDLE_SLOTS") == ["rootfs", "efi"]
    assert {answers.values[BUNDLE][f"RAUC_SLOT_{slot}"] for slot in ("rootfs", "efi")} == {IMAGE}


def test_everest_has_no_panel_keeps_its_keys_in_the_tpm_and_has_the_modules_of_the_configuration(answers: Answers) -> None:
    settings = words(answers, "everest-core", "PACKAGECONFIG")
    assert "tpm2" in settings
    assert not {"admin-panel", "applications"} & set(settings)
    assert "-DEVEREST_INCLUDE_MODULES=" in (answers.values["everest-core"]["EXTRA_OECMAKE"] or "")


def test_systemd_opens_verified_and_encrypted_partitions(answers: Answers) -> None:
    assert {"cryptsetup", "repart", "tpm2"} <= set(words(answers, "systemd", "PACKAGECONFIG"))


def test_an_option_that_the_kernel_drops_is_an_error(answers: Answers) -> None:
    assert answers.values["virtual/kernel"]["PN"] == "linux-yocto"
    assert answers.values["virtual/kernel"]["KMETA_AUDIT_WERROR"]


def test_every_append_for_this_machine_applies(answers: Answers) -> None:
    for recipe, append in (
        ("everest-core", "everest-core_%"),
        ("rauc-conf", "rauc-conf"),
        ("systemd", "systemd_%"),
        ("virtual/kernel", "linux-yocto_%"),
    ):
        assert f"{append}.bbappend" in {Path(file).name for file in answers.appends[recipe] if LAYER in file}


def test_no_recipe_of_the_layer_is_skipped_but_those_for_the_field(answers: Answers) -> None:
    ours = {recipe.stem.partition("_")[0] for recipe in (PROJECT / LAYER).rglob("*.bb")}
    refused = {name: reason for name, reason in answers.skipped.items() if name in ours}
    assert refused.keys() == {"everest-secure-image", "everest-secure-bundle"}
    assert all(reason.startswith("RAUC-02: ") for reason in refused.values())
