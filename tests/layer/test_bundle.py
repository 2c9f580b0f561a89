from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.reference.recipes.bundle import BundleRecipe, bundle_manifest
from everest_secure.reference.recipes.harness import read_recipe
from support.layer import LAYER, Bench

pytestmark = pytest.mark.layer

PRODUCTION = {"EVEREST_PRODUCTION": "1"}


def bundle(layer: Bench, **settings: str) -> BundleRecipe:
    return bundle_manifest("everest-secure-bundle", layer=LAYER, work=layer.work, settings={**layer.settings, **PRODUCTION, **settings})


def variable(layer: Bench, name: str, **settings: str) -> str:
    return read_recipe(
        "everest-secure-bundle", [name], layer=LAYER, work=layer.work, settings={**layer.settings, **PRODUCTION, **settings}
    )[name]


def test_the_bundle_is_a_verity_bundle_with_both_slots_of_the_image(layer: Bench) -> None:
    made = bundle(layer, EVEREST_COMPATIBLE="charger-x", EVEREST_IMAGE_VERSION="1.2.3")
    assert made.format == "verity"
    assert [(slot.name, slot.recipe, slot.fstype, slot.filename) for slot in made.slots] == [
        ("rootfs", "everest-secure-image", "squashfs-zst.verity", "rootfs.img"),
        ("efi", "everest-secure-image", "efi", "efi.img"),
    ]
    assert (made.update["compatible"], made.update["version"]) == ("charger-x", "1.2.3")


def test_an_adaptive_bundle_writes_the_root_and_the_boot_chain_where_they_differ(layer: Bench) -> None:
    settings = {"EVEREST_ADAPTIVE_UPDATES": "1", "EVEREST_MCU_IMAGE": "mcu-firmware.bin", "EVEREST_MCU_IMAGE_RECIPE": "mcu-firmware"}
    made = {slot.name: slot for slot in bundle(layer, **settings).slots}
    assert made["rootfs"].fstype == "erofs-lz4hc.verity"
    assert {name: slot.adaptive for name, slot in made.items()} == {
        "rootfs": ("block-hash-index",),
        "efi": ("block-hash-index",),
        "mcu": (),
    }
    assert [slot.adaptive for slot in bundle(layer, EVEREST_BOOT_CHAIN="fit", **settings).slots][1] == ("block-hash-index",)
    assert all(slot.adaptive == () for slot in bundle(layer).slots)


def test_a_board_with_u_boot_gets_its_fit(layer: Bench) -> None:
    assert [(slot.name, slot.fstype) for slot in bundle(layer, EVEREST_BOOT_CHAIN="fit").slots][1] == ("fit", "fit")


def test_the_firmware_of_the_safety_mcu_goes_along_and_is_written_by_the_device(layer: Bench) -> None:
    settings = {"EVEREST_MCU_IMAGE": "mcu-firmware.bin", "EVEREST_MCU_IMAGE_RECIPE": "mcu-firmware"}
    mcu = bundle(layer, **settings).slots[-1]
    assert (mcu.name, mcu.recipe, mcu.filename) == ("mcu", "mcu-firmware", "mcu.img")
    assert variable(layer, "RAUC_SLOT_mcu[hooks]", **settings) == "install"
    assert "mcu" not in {slot.name for slot in bundle(layer).slots}


def test_the_device_is_asked_by_the_program_that_it_asks_itself(layer: Bench) -> None:
    made = bundle(layer, EVEREST_IMAGE_VERSION="1.2.3")
    assert made.install_check
    assert made.hook == LAYER / "recipes-core/everest-update-guard/files/everest-update-guard"
    assert made.meta["everest-secure"]["version"] == "1.2.3"


def test_the_bundle_is_verified_as_the_device_does(layer: Bench) -> None:
    assert bundle(layer, EVEREST_RAUC_KEYRING="/keys/keyring.pem").arguments == (
        f"--conf={variable(layer, 'EVEREST_BUNDLE_CONF')}",
        "--signing-keyring=/keys/keyring.pem",
    )


def test_production_is_verified_with_the_release_keyring_unless_it_is_signed_again_elsewhere(layer: Bench) -> None:
    settings = {"EVEREST_PRODUCTION": "1", "EVEREST_RAUC_KEYRING": "/release.pem", "EVEREST_RAUC_KEYRING_DEVELOPMENT": "/development.pem"}
    assert variable(layer, "EVEREST_BUNDLE_VERIFIER", **settings) == "/release.pem"
    assert variable(layer, "BUNDLE_BASENAME", **settings) == "everest-secure-bundle"
    again = {**settings, "EVEREST_BUNDLE_RESIGN": "1", "EVEREST_BUNDLE_KEYRING": "/build.pem"}
    assert variable(layer, "EVEREST_BUNDLE_VERIFIER", **again) == "/build.pem"
    assert variable(layer, "BUNDLE_BASENAME", **again) == "everest-secure-bundle-to-be-signed-again"
    with pytest.raises(UserError, match="RAUC-03: EVEREST_BUNDLE_RESIGN is 1 and EVEREST_BUNDLE_KEYRING empty"):
        variable(layer, "PN", EVEREST_BUNDLE_RESIGN="1")


def test_a_bundle_is_encrypted_when_asked_for(layer: Bench) -> None:
    settings = {"EVEREST_CRYPT_BUNDLE": "1"}
    assert bundle(layer, **settings).format == "crypt"
    assert "everest_secure_bundle_encrypt" not in variable(layer, "do_bundle[postfuncs]", **settings)
    assert "everest_secure_bundle_encrypt" in variable(layer, "do_bundle[postfuncs]", **settings, EVEREST_BUNDLE_RECIPIENTS="/devices.pem")


def test_a_plain_bundle_is_refused(layer: Bench) -> None:
    with pytest.raises(UserError, match="RAUC-01: RAUC_BUNDLE_FORMAT is 'plain'"):
        variable(layer, "PN", **{"RAUC_BUNDLE_FORMAT:pn-everest-secure-bundle": "plain"})


def test_a_changed_key_at_the_same_path_makes_the_bundle_anew(layer: Bench, tmp_path: Path) -> None:
    key = tmp_path / "signer.key"

    def digest(content: str) -> str:
        key.write_text(content)
        settings = {"EVEREST_BUNDLE_KEY": str(key)}
        return read_recipe(
            "everest-secure-bundle", ["EVEREST_SIGNING_DIGEST"], layer=LAYER, work=layer.work, settings=PRODUCTION | settings
        )["EVEREST_SIGNING_DIGEST"]

    assert digest("one") != digest("other")
    assert digest("one") == digest("one")
