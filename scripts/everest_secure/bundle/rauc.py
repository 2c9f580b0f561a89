"""Drives the `rauc` program, 1.8 to 1.15, the way a device of this project will judge its bundles."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from everest_secure.bundle.errors import BundleError
from everest_secure.run import Argument, Tools

CONFIGURATION = """[system]
compatible=everest-secure
bootloader=noop
statusfile=per-slot
bundle-formats=verity

[keyring]
check-purpose=codesign
"""
"""What verification needs. Before 1.15 there is no way but a file to set the purpose, and a file must have a system section."""

PASSPHRASE_VARIABLE = "RAUC_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable, no passphrase


def bundle(
    content: Path,
    output: Path,
    *,
    configuration: Path,
    key: Path,
    certificate: Path,
    intermediates: Sequence[Path],
    keyring: Path,
    passphrase: str | None,
    tools: Tools,
) -> None:
    """Pack the directory `content` and sign it as `output`; rauc verifies the signature with `keyring` before it writes it.

    Without a keyring `rauc bundle` would sign without verifying, hence it is not optional. `content` and `output` share a directory.
    Paths are absolute and free of links, so that they mean the same in a sandbox. Raises ToolError.
    """
    argv: list[Argument] = ["rauc", "--conf", configuration, "--cert", certificate, "--key", key]
    for intermediate in intermediates:
        argv += ["--intermediate", intermediate]
    argv += ["bundle", "--signing-keyring", keyring, content, output]
    paths = [output.parent, configuration, key, certificate, keyring, *intermediates]
    tools.run(argv, paths=paths, env={} if passphrase is None else {PASSPHRASE_VARIABLE: passphrase})


def info(bundle_file: Path, *, configuration: Path, keyring: Path | None, tools: Tools) -> Mapping[str, str]:
    """Return what `rauc info` says of a bundle as shell variables (`RAUC_MF_VERSION`), the one format that every build of rauc can write.

    With a keyring the signature is verified, with None it is not. Paths are absolute and free of links, so that they mean the same in a sandbox. Raises ToolError when rauc refuses the bundle.
    """
    verification: list[Argument] = ["--no-verify"] if keyring is None else ["--keyring", keyring]
    argv = ["rauc", "--conf", configuration, "info", "--output-format=shell", *verification, bundle_file]
    paths = [configuration, bundle_file, *([] if keyring is None else [keyring])]
    return variables(tools.run(argv, paths=paths))


def variables(output: bytes) -> Mapping[str, str]:
    """Parse assignments of a shell, values quoted by its rules; raises BundleError for anything else."""
    try:
        words = shlex.split(output.decode())
    except ValueError:
        raise BundleError("rauc described the bundle in a way that cannot be read; check which rauc is installed") from None
    pairs = [word.partition("=") for word in words]
    if not pairs or not all(name.startswith("RAUC_") and equals for name, equals, _ in pairs):
        raise BundleError("rauc described the bundle in a way that cannot be read; check which rauc is installed")
    return {name: value for name, _, value in pairs}
