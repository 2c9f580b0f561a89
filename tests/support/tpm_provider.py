"""OpenSSL's provider for TPMs, compiled of the release that EVerest's layer has: this machine's may be older than any that a charger has."""

import re
import subprocess
from pathlib import Path

import pytest

from everest_secure.build.configuration import Repository
from support.layer import bench
from support.upstream_code import check_out

PROVIDER = Repository("tpm2-openssl", "https://github.com/tpm2-software/tpm2-openssl", "tpm2-openssl", "1.3.0")
RECIPE = """LICENSE = "BSD-3-Clause"
LIC_FILES_CHKSUM = ""
S = "{code}"
"""
DEFINED = ("-DNDEBUG", "-D_GNU_SOURCE", '-DPACKAGE_VERSION="1.3.0"', '-DVERSION="1.3.0"')
LIBRARIES = ("-ltss2-esys", "-ltss2-tctildr", "-ltss2-mu", "-lcrypto", "-lm")


def fetch(place: Path) -> Path:
    """Check the code out in a new directory and return it."""
    place.mkdir(parents=True)
    return check_out(PROVIDER, place)


def patch(code: Path, place: Path) -> None:
    """Change the code as the recipe's own task does; `place` is a directory to work in."""
    (place / "layer/conf").mkdir(parents=True)
    (place / "layer/conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bb"\nBBFILE_COLLECTIONS += "test"\n')
    (place / "layer/tpm2-openssl_1.3.0.bb").write_text(RECIPE.format(code=code))
    (place / "work").mkdir()
    bench(place / "work").build("tpm2-openssl", extra_layers=(place / "layer",))


def compiled(code: Path, place: Path) -> Path:
    """Compile the provider; return a directory of OpenSSL's modules that has it alone."""
    place.mkdir()
    command: list[str | Path] = ["gcc", "-shared", "-fPIC", "-w", *DEFINED, f"-I{code}/src", *code.glob("src/*.c")]
    done = subprocess.run([*command, "-o", place / "tpm2.so", *LIBRARIES], capture_output=True, text=True, check=False)
    if missing := re.search(r"fatal error: ((?:tss2|openssl)/\w+\.h): No such file", done.stderr):
        pytest.skip(f"{missing[1]} is missing: install the headers of tpm2-tss and OpenSSL")
    assert done.returncode == 0, done.stderr
    return place
