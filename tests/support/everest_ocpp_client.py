"""libocpp's own client, with the release of libwebsockets that EVerest's layer builds: what it says of a failed connection differs from release to release."""

import subprocess
from pathlib import Path

import pytest

from support.everest_code import compile_with
from support.everest_logs import DATE, HERE, OCPP, include, recipe_code, write
from support.reference import require

_SOURCES = ("ocpp_logging", "call_types", "types", "utils", "websocket/*")


def ocpp_client(place: Path, everest: Path, tree: Path) -> Path:
    """Compile the program that ocpp_client.cpp describes, with libocpp's code of a tree and the headers of a checkout."""
    library, headers = _libwebsockets(place, everest)
    ocpp = tree / OCPP / "lib/ocpp/common"
    sources = [path for name in _SOURCES for path in sorted(ocpp.glob(f"{name}.cpp"))]
    sources.append(everest / "lib/everest/evse_security/lib/evse_security/crypto/openssl/openssl_provider.cpp")
    write(place, {"sources.inc": "".join(f'#include "{path}"\n' for path in sources)})
    arguments = [*include(everest), *headers, "-DLIBEVSE_CRYPTO_SUPPLIER_OPENSSL", "-ffunction-sections", "-Wl,--gc-sections"]
    return compile_with(
        place, (HERE / "ocpp_client.cpp").read_text(), *arguments, library, *DATE, "-lfmt", "-lssl", "-lcrypto", "-lz", "-lcap"
    )


def _libwebsockets(place: Path, everest: Path) -> tuple[Path, list[str]]:
    """Return the library and where its headers are, compiled with what the recipe chooses of TLS and HTTP."""
    require("cmake", "ninja")
    code, made = recipe_code(everest, "libwebsockets", place / "libwebsockets"), place / "made"
    options = ["-DLWS_WITHOUT_TESTAPPS=ON", "-DLWS_WITH_SHARED=OFF", "-DLWS_WITH_HTTP2=ON", "-DLWS_IPV6=ON", "-DLWS_WITH_LIBCAP=ON"]
    plain = ["-DLWS_WITH_MINIMAL_EXAMPLES=OFF", "-DDISABLE_WERROR=ON", "-DCMAKE_C_FLAGS=-w", "-DCMAKE_BUILD_TYPE=None"]
    steps: tuple[tuple[str | Path, ...], ...] = (("cmake", "-G", "Ninja", "-S", code, "-B", made, *options, *plain), ("ninja", "-C", made))
    for command in steps:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "Could NOT find" in done.stdout + done.stderr and done.returncode:
            pytest.skip("libwebsockets lacks a library: install EVEREST_PACKAGES of the Makefile")
        assert done.returncode == 0, done.stdout + done.stderr
    return made / "lib/libwebsockets.a", [f"-I{code}/include", f"-I{made}/include"]
