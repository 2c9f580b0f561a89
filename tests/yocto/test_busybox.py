"""What the layer's programs call on the target is in OE-Core's busybox as the layer configures it."""

import re
from pathlib import Path

import pytest

from support.kernel import options
from support.layer import LAYER
from support.yocto import Checkout

pytestmark = pytest.mark.yocto

ONLY_BUSYBOX = r"""
BBMASK = "/meta-openembedded/ /openembedded-core/meta/recipes-(?!core/busybox/busybox_) /meta-rauc/ /meta-tpm/ /meta-everest/ /meta-everest-secure/(?!recipes-core/busybox)"
BB_DANGLINGAPPENDS_WARNONLY = "1"
"""
CALLS = {
    r"\bhead -n": "HEAD",
    r"\bhead -c": "FEATURE_FANCY_HEAD",
    r"\bstat -c": "FEATURE_STAT_FORMAT",
    r"\breadlink -f": "FEATURE_READLINK_FOLLOW",
    r"\bsync \S": "FEATURE_SYNC_FANCY",
    r"\btimeout \S": "TIMEOUT",
    **{rf"\b{name} \S": name.upper() for name in ("awk", "cut", "date", "find", "grep", "id", "mktemp", "sed", "sort", "tail", "tr")},
}
"""What a shell program says, and the option that it needs."""


def test_busybox_has_what_the_programs_of_the_layer_call(checkout: Checkout) -> None:
    asked = checkout.ask("kas/qemux86-64.yml", {"busybox": ("SRC_URI", "FILESPATH")}, lines=ONLY_BUSYBOX).values["busybox"]
    places = [Path(place) for place in str(asked["FILESPATH"]).split(":")]
    names = ["defconfig", *re.findall(r"file://(\S+\.cfg)", str(asked["SRC_URI"]))]
    files = [next(place / name for place in places if (place / name).is_file()) for name in names]
    have = {name: value for file in files for name, value in options(file.read_text()).items()}
    texts = [file.read_text() for file in LAYER.glob("recipes-*/*/files/*") if file.is_file()]
    programs = [text for text in texts if text.startswith("#!/bin/sh\n")]
    said = "\n".join(line for text in programs for line in text.splitlines() if not line.lstrip().startswith("#"))
    needed = {option for call, option in CALLS.items() if re.search(call, said)}
    assert {"TIMEOUT", "FEATURE_FANCY_HEAD", "SED"} <= needed
    assert {option for option in needed if have.get(f"CONFIG_{option}") != "y"} == set()
