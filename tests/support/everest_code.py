"""Programs made of EVerest's real code, which tests compile; of its framework there is only what writes lines to the standard error stream."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TYPES = "#include <array>\n#include <cstring>\n"
"""utils/types.hpp brings these to system_unix.cpp, and much that it does not need."""
LOGGING = """#pragma once
#include <iostream>
struct EverestLine {
    template <typename T> EverestLine& operator<<(const T& what) { std::clog << what; return *this; }
    EverestLine& operator<<(std::ostream& (*change)(std::ostream&)) { std::clog << change; return *this; }
    ~EverestLine() { std::clog << std::endl; }
};
#define EVLOG_AND_THROW(what) throw what
""" + "".join(f"#define EVLOG_{level} EverestLine()\n" for level in ("critical", "error", "warning", "info", "debug"))
KEY = """
#include <evse_security/crypto/openssl/openssl_crypto_supplier.hpp>
int main(int, char** argv) {
    evse_security::KeyGenerationInfo wanted;
    wanted.key_type = evse_security::CryptoKeyType::EC_prime256v1;
    wanted.generate_on_custom = true;
    wanted.private_key_file = argv[1];
    evse_security::KeyHandle_ptr key;
    return evse_security::OpenSSLSupplier::generate_key(wanted, key) ? 0 : 1;
}
"""
SERVER = """
#include <everest/tls/tls.hpp>
int main(int, char** argv) {
    tls::Server::config_t config;
    config.chains.emplace_back();
    config.chains[0].certificate_chain_file = argv[1];
    config.chains[0].private_key_file = argv[2];
    config.chains[0].trust_anchor_file = argv[3];
    config.verify_locations_file = argv[3];
    config.host = "localhost";
    config.service = argv[4];
    config.ipv6_only = false;
    config.io_timeout_ms = 5000;
    tls::Server server;
    if (server.init(config, nullptr) != tls::Server::state_t::init_complete)
        return 1;
    server.serve([&server](tls::Server::ConnectionPtr&& connection) {
        connection->accept();
        connection->shutdown();
        server.stop();
    });
    server.wait_stopped();
}
"""
TPM = (
    "-DLIBEVSE_CRYPTO_SUPPLIER_OPENSSL",
    "-DUSING_CUSTOM_PROVIDER",
    '-DCUSTOM_PROVIDER_NAME="tpm2"',
    '-DPROPQUERY_PROVIDER_DEFAULT="?provider=default"',
    '-DPROPQUERY_PROVIDER_CUSTOM="?provider=tpm2"',
)
"""What EVerest's CMake files define with USING_TPM2=ON."""

_MISSING = re.compile(
    r"fatal error: ((?:(?:boost|date|fmt|nlohmann|openssl)/[\w/]+|sys/capability|pugixml|sqlite3)\.h(?:pp)?): No such file"
)
"""A header that is not EVerest's own."""
_DATES = re.compile(r"date\.h:\d+:\d+: error: no matching function for call to .from_stream\(.*utc_clock")
"""What howardhinnant-date 3.0.3, as Debian 13 has it, says of EVerest's code; with 3.0.1 it compiles."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs made of the code as it is upstream, and as it is built."""

    upstream: Path
    built: Path


def compile_with(place: Path, main: str, *arguments: str | Path) -> Path:
    """Compile a program; one that needs what is not installed skips the test."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in {"utils/types.hpp": TYPES, "everest/logging.hpp": LOGGING, "main.cpp": main}.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    return _compiled(place / "program", f"-I{place}", place / "main.cpp", *arguments)


def compile_part(target: Path, place: Path, *arguments: str | Path) -> Path:
    """Compile or link a part of a program that was compiled in a directory."""
    return _compiled(target, f"-I{place}", *arguments)


def _compiled(target: Path, *arguments: str | Path) -> Path:
    done = subprocess.run(["g++", "-std=c++17", "-w", *arguments, "-o", target], capture_output=True, text=True, check=False)
    if missing := _MISSING.search(done.stderr):
        pytest.skip(f"{missing[1]} is missing: install EVEREST_PACKAGES of the Makefile")
    if _DATES.search(done.stderr):
        pytest.skip("EVerest's code does not compile with this machine's library of dates, newer than 3.0.1 of Debian 12")
    assert done.returncode == 0, done.stderr
    return target


def key_program(place: Path, tree: Path) -> Path:
    """A program that lets libevse-security make a key in the TPM; its argument is the file."""
    security, sources = _security(tree)
    return compile_with(place, KEY, *security, *TPM, *sources, "-lssl", "-lcrypto")


def tls_server(place: Path, tree: Path) -> Path:
    """A program in which the TLS server of EVerest's modules for vehicles takes one connection: certificate, key, root and port."""
    place.mkdir(parents=True)
    (place / "boost/smart_ptr").mkdir(parents=True)
    (place / "boost/smart_ptr/shared_ptr.hpp").write_text("// included, and not used\n")
    security, sources = _security(tree)
    tls = tree / "lib/everest/tls"
    code = [tls / "src/tls.cpp", tls / "src/openssl_util.cpp", *(tls / "extensions").glob("*.cpp")]
    include = [f"-I{tls}", f"-I{tls}/include", f"-I{tree}/lib/everest/util/include"]
    return compile_with(place, SERVER, *security, *include, "-DLIBEVSE_CRYPTO_SUPPLIER_OPENSSL", *code, *sources, "-lssl", "-lcrypto")


def _security(tree: Path) -> tuple[list[str], list[Path]]:
    """Where the headers of libevse-security are, and its code for keys."""
    security = tree / "lib/everest/evse_security"
    code = security / "lib/evse_security"
    return [f"-I{security}/include", f"-I{security}/3rd_party"], [
        *(code / "crypto").rglob("*.cpp"),
        code / "utils/evse_filesystem.cpp",
        code / "evse_types.cpp",
    ]
