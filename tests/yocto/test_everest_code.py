"""EVerest's real code, compiled before and after the recipe changed it: what a module gets, and where a key comes from (ACC-04, TPM-04)."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.everest import patched
from support.everest_code import Programs, compile_with, key_program
from support.layer import Bench

pytestmark = [
    pytest.mark.yocto,
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing"),
]

MODULE = """
#include <fstream>
#include <iostream>
#include "system_unix.hpp"
int main(int, char** argv) {
    std::cout << Everest::system::set_user_and_capabilities("", {argv[1]}) << "\\n";
    std::cout << std::ifstream("/proc/self/status").rdbuf();
}
"""


@pytest.fixture(scope="module")
def trees(layer: Bench, everest: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """EVerest's code, upstream's and ours."""
    return Programs(everest, patched(layer, tmp_path_factory.mktemp("patched"), everest))


@pytest.fixture(scope="module")
def modules(trees: Programs, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """A program that takes a capability as the manager's children do, and tells what it has then."""
    place = tmp_path_factory.mktemp("modules")

    def compiled(name: str, tree: Path) -> Path:
        framework = trees.upstream / "lib/everest/framework"
        code = tree / "lib/everest/framework/src"
        return compile_with(place / name, MODULE, f"-I{code}", f"-I{framework}/include", code / "system_unix.cpp", "-lcap", "-lfmt")

    return Programs(compiled("upstream", trees.upstream), compiled("built", trees.built))


@pytest.fixture(scope="module")
def keys(trees: Programs, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """A program that lets libevse-security make a key in the TPM."""
    place = tmp_path_factory.mktemp("keys")

    return Programs(key_program(place / "upstream", trees.upstream), key_program(place / "built", trees.built))


def ambient(program: Path, *, bounding: str = "") -> tuple[str, int]:
    """Return the manager's complaint and the capabilities of a module that asks for CAP_NET_RAW; the machine's own user need not be root."""
    limits = ["setpriv", f"--bounding-set=-all,{bounding}"] if bounding else []
    said = subprocess.run(
        ["unshare", "--user", "--map-root-user", *limits, program, "CAP_NET_RAW"], capture_output=True, text=True, check=False
    )
    if said.returncode:
        pytest.skip(f"this machine gives no user namespace: {said.stderr.strip()}")
    found = re.search(r"^CapAmb:\s*([0-9a-f]+)$", said.stdout, re.MULTILINE)
    assert found
    return said.stdout.splitlines()[0], int(found[1], 16)


CAP_CHOWN, CAP_NET_RAW = 1 << 0, 1 << 13


def test_a_module_gets_what_it_asks_for_and_nothing_else(modules: Programs) -> None:
    assert ambient(modules.upstream) == ("", CAP_NET_RAW | CAP_CHOWN)
    assert ambient(modules.built) == ("", CAP_NET_RAW)


def test_modules_start_within_the_bounding_set_of_the_service(modules: Programs) -> None:
    service = "+setuid,+setgid,+setpcap,+net_raw"
    assert ambient(modules.built, bounding=service) == ("", CAP_NET_RAW)
    complaint, held = ambient(modules.upstream, bounding=service)
    assert "Failed to set capabilities" in complaint
    assert held == 0


def test_without_a_tpm_no_key_is_made_in_its_stead(keys: Programs, tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    environment = {**os.environ, "OPENSSL_MODULES": str(tmp_path / "modules")}
    software, none = tmp_path / "software.tkey", tmp_path / "none.tkey"
    assert subprocess.run([keys.upstream, software], env=environment, capture_output=True, check=False).returncode == 0
    assert software.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    done = subprocess.run([keys.built, none], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "create key context failed" in done.stderr
    assert not none.exists()


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[str]:
    """Configuration of a connection to a software TPM."""
    if shutil.which("swtpm") is None:
        pytest.skip("swtpm is missing")
    said = subprocess.run(["openssl", "version", "-m"], capture_output=True, text=True, check=True).stdout
    if not (Path(said.split('"')[1]) / "tpm2.so").exists():
        pytest.skip("OpenSSL's provider tpm2 is missing")
    state, server = tmp_path / "state", tmp_path / "tpm"
    state.mkdir()
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "not-need-init,startup-clear"]
    sockets = ["--server", f"type=unixio,path={server}", "--ctrl", f"type=unixio,path={server}.ctrl", "--daemon"]
    pid = tmp_path / "pid"
    subprocess.run([*command, *sockets, "--pid", f"file={pid}"], check=True)
    yield f"swtpm:path={server}"
    os.kill(int(pid.read_text()), 15)


def test_with_a_tpm_the_key_is_made_in_it(keys: Programs, tmp_path: Path, tpm: str) -> None:
    key = tmp_path / "leaf.tkey"
    done = subprocess.run([keys.built, key], env={**os.environ, "TPM2OPENSSL_TCTI": tpm}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert key.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
