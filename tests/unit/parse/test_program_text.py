import re
import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.image.blob import from_bytes, from_file
from everest_secure.parse.program_text import CHUNK, holds, libraries, texts_like
from everest_secure.parse.versions import upstream
from support.rootfs import RootFs

VERSION = re.compile(rb"[0-9]+\.[0-9]+\.[0-9]+")


@pytest.mark.parametrize("at", [0, CHUNK - 14, CHUNK - 3, CHUNK, 2 * CHUNK + 5])
def test_a_text_is_found_wherever_it_lies(at: int) -> None:
    content = from_bytes(bytes(at) + b"provider=tpm2" + bytes(CHUNK), "x")
    assert holds(content, b"provider=tpm2")
    assert not holds(content, b"provider=tpm3")


@pytest.mark.parametrize("at", [1, CHUNK - 3, CHUNK, CHUNK + 60])
def test_a_text_between_two_nul_bytes_is_found_whole(at: int) -> None:
    content = b"x" * at + b"\x001.3.0\x00" + b"1.2.3x\x00" + b"y" * CHUNK
    assert texts_like(from_bytes(content, "x"), VERSION) == {"1.3.0"}


def test_libraries_are_found_where_the_loader_looks_by_their_stem() -> None:
    fs = (
        RootFs()
        .file("/usr/lib/x86_64-linux-gnu/libx.so.1.2", "")
        .link("/usr/lib/x86_64-linux-gnu/libx.so.1", "libx.so.1.2")
        .link("/lib", "usr/lib")
    )
    fs.file("/usr/lib/libxy.so.1", "").file("/usr/lib/ossl-modules/tpm2.so", "")
    assert [node.path for node in libraries(fs.tree, "libx.so")] == ["/usr/lib/x86_64-linux-gnu/libx.so.1.2"]
    assert [node.path for node in libraries(fs.tree, "ossl-modules/tpm2.so")] == ["/usr/lib/ossl-modules/tpm2.so"]


def test_the_version_in_the_tpm_s_provider_is_that_of_its_package() -> None:
    modules = sorted(Path("/usr/lib").glob("*/ossl-modules/tpm2.so"))
    if shutil.which("dpkg-query") is None or not modules:
        pytest.skip("tpm2-openssl is not installed as a package of Debian's")
    said = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", "tpm2-openssl"], capture_output=True, text=True, check=True
    ).stdout
    assert texts_like(from_file(modules[0]), VERSION) == {upstream(said)}
