"""The safety MCU gets its image from the bundle (RAUC-07)."""

import os
import subprocess
from pathlib import Path

import pytest

from support.layer import Bench, contents
from support.shells import any_shell, shell

pytestmark = [pytest.mark.layer, any_shell]

SCRIPT = "usr/libexec/everest-secure/everest-mcu-update"
REJECTED = 10


def flash(layer: Bench, sh: str, tmp_path: Path, tool: str, image: bytes | None = b"firmware") -> subprocess.CompletedProcess[str]:
    """Run the handler with a flash tool of a few lines of shell."""
    program, file = tmp_path / "tool", tmp_path / "mcu.bin"
    program.write_text(f"#!/bin/sh\n{tool}\n")
    program.chmod(0o755)
    if image is not None:
        file.write_bytes(image)
    limits = {"EVEREST_MCU_IMAGE_BYTES": "1000", "EVEREST_MCU_UPDATE_SECONDS": "1"}
    package = layer.package("everest-mcu-update", EVEREST_MCU_UPDATE_HANDLER=str(program), **limits)
    assert contents(package) == {f"/{SCRIPT}": 0o755}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "TAKEN": str(tmp_path / "taken")}
    done = subprocess.run([*shell(sh), package.files / SCRIPT, file], env=environment, capture_output=True, text=True, check=False)
    assert list(temporary.iterdir()) == []
    return done


def test_the_tool_gets_the_image_and_its_success_is_the_update_s(layer: Bench, sh: str, tmp_path: Path) -> None:
    done = flash(layer, sh, tmp_path, 'cat "$1" >"$TAKEN"')
    assert (done.returncode, done.stdout) == (0, "everest-mcu-update: 8 bytes flashed\n")
    assert (tmp_path / "taken").read_bytes() == b"firmware"


def test_a_tool_that_fails_is_quoted(layer: Bench, sh: str, tmp_path: Path) -> None:
    done = flash(layer, sh, tmp_path, 'echo start; printf "no \\033[1mboot loader\\n" >&2; exit 3')
    assert (done.returncode, done.stderr) == (
        REJECTED,
        "everest-mcu-update: the flash tool failed with exit code 3: no [1mboot loader\n",
    )


def test_a_tool_that_hangs_is_stopped(layer: Bench, sh: str, tmp_path: Path) -> None:
    done = flash(layer, sh, tmp_path, "exec sleep 100")
    assert (done.returncode, done.stderr) == (REJECTED, "everest-mcu-update: the flash tool did not end within 1 seconds\n")


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (b"", "the image is empty"),
        (b"x" * 1001, "the image has 1001 bytes and no more than 1000 are allowed"),
        (None, "mcu.bin is no file"),
    ],
    ids=["empty", "large", "missing"],
)
def test_what_is_no_firmware_never_reaches_the_tool(layer: Bench, sh: str, tmp_path: Path, image: bytes | None, sentence: str) -> None:
    done = flash(layer, sh, tmp_path, 'cat "$1" >"$TAKEN"', image)
    assert done.returncode == REJECTED
    assert sentence in done.stderr
    assert not (tmp_path / "taken").exists()
