from pathlib import Path

import pytest

from everest_secure.reference.recipes.bundle import BundleRecipe, bundle_manifest
from everest_secure.reference.recipes.harness import read_recipe
from support.layer import LAYER, Bench

pytestmark = pytest.mark.layer


def bundle(layer: Bench, **settings: str) -> BundleRecipe:
    return bundle_manifest(layer=LAYER, work=layer.work, settings={**layer.settings, **settings})


def test_the_bundle_is_a_verity_bundle_with_both_slots(layer: Bench) -> None:
    made = bundle(layer, EVEREST_COMPATIBLE="charger-x", EVEREST_IMAGE_VERSION="1.2.3")
    assert made.format == "verity"
    assert [(slot.name, slot.filename) for slot in made.slots] == [("rootfs", "rootfs.img"), ("efi", "efi.img")]
    assert "[update]\ncompatible=charger-x\nversion=1.2.3\n" in made.manifest()
    assert "[image.efi]\nfilename=efi.img\n" in made.manifest()


def test_the_bundle_carries_the_intermediate_and_is_verified_as_the_device_does(layer: Bench) -> None:
    made = bundle(layer, EVEREST_BUNDLE_INTERMEDIATE="/keys/intermediate.pem", EVEREST_RAUC_KEYRING="/keys/keyring.pem")
    assert made.arguments == (
        "--intermediate=/keys/intermediate.pem",
        "--signing-keyring=/keys/keyring.pem",
        "-C",
        "keyring:check-purpose=codesign",
    )


def test_a_changed_key_at_the_same_path_makes_the_bundle_anew(layer: Bench, tmp_path: Path) -> None:
    key = tmp_path / "signer.key"

    def digest(content: str) -> str:
        key.write_text(content)
        settings = {"EVEREST_BUNDLE_KEY": str(key)}
        return read_recipe("everest-secure-bundle", ["EVEREST_SIGNING_DIGEST"], layer=LAYER, work=layer.work, settings=settings)[
            "EVEREST_SIGNING_DIGEST"
        ]

    assert digest("one") != digest("other")
    assert digest("one") == digest("one")
