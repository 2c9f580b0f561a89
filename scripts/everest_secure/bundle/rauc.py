"""Drives the `rauc` program, 1.8 to 1.15, the way a device of this project will judge its bundles."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


def configuration(
    *, formats: Sequence[str] = ("verity",), check_crl: bool = False, decryption_key: Path | None = None, signature_bytes: int = 0
) -> str:
    """Return a system.conf for what is asked of one bundle; older versions of rauc do not know a limit of signatures, and have their own without."""
    text = CONFIGURATION.replace("bundle-formats=verity", f"bundle-formats={' '.join(formats)}")
    text += f"check-crl={'true' if check_crl else 'false'}\n"
    if signature_bytes:
        text = text.replace("[system]\n", f"[system]\nmax-bundle-signature-size={signature_bytes}\n", 1)
    return text if decryption_key is None else f"{text}\n[encryption]\nkey={decryption_key}\n"


PASSPHRASE_VARIABLE = "RAUC_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable, no passphrase
PIN_VARIABLE = "RAUC_PKCS11_PIN"
MODULE_VARIABLE = "RAUC_PKCS11_MODULE"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """How rauc reaches the signer's key, which it does through its environment for all that is secret."""

    place: Path | str
    """A file, or a PKCS#11 URI without a PIN."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def bundle(
    content: Path,
    output: Path,
    *,
    configuration: Path,
    key: SigningKey,
    certificate: Path,
    intermediates: Sequence[Path],
    keyring: Path,
    tools: Tools,
) -> None:
    """Pack the directory `content` and sign it as `output`; rauc verifies the signature with `keyring` before it writes it.

    Without a keyring `rauc bundle` would sign without verifying, hence it is not optional. `content` and `output` share a directory.
    Paths are absolute and free of links, so that they mean the same in a sandbox. Raises ToolError.
    """
    argv: list[Argument] = ["rauc", "--conf", configuration, "--cert", certificate, "--key", key.place]
    for intermediate in intermediates:
        argv += ["--intermediate", intermediate]
    argv += ["bundle", "--signing-keyring", keyring, content, output]
    paths = _paths(output.parent, configuration, certificate, keyring, *intermediates, key.place if isinstance(key.place, Path) else None)
    tools.run(argv, paths=paths, env=key.environment)


def encrypt(bundle_file: Path, output: Path, *, recipients: Sequence[Path], configuration: Path, keyring: Path, tools: Tools) -> None:
    """Encrypt a signed crypt bundle for recipients' certificates as `output`; paths and errors as in `info`."""
    argv: list[Argument] = ["rauc", "--conf", configuration, "--keyring", keyring, "encrypt"]
    argv += [f"--to={recipient}" for recipient in recipients]
    tools.run([*argv, bundle_file, output], paths=_paths(configuration, bundle_file, keyring, output.parent, *recipients))


def info(bundle_file: Path, *, configuration: Path, keyring: Path, key: Path | None = None, tools: Tools) -> Mapping[str, str]:
    """Return what `rauc info` says of a bundle as shell variables (`RAUC_MF_VERSION`), the one format that every build of rauc can write.

    The signature is verified, the payload is not; `key` is the recipient's key that the configuration names. Paths are absolute and free of links,
    so that they mean the same in a sandbox. Raises ProgramFailedError when rauc refuses the bundle, and ToolError when it is missing.
    """
    argv: list[Argument] = ["rauc", "--conf", configuration, "--keyring", keyring, "info", "--output-format=shell", bundle_file]
    return variables(tools.run(argv, paths=_paths(configuration, bundle_file, keyring, key)))


def extract(bundle_file: Path, directory: Path, *, configuration: Path, keyring: Path, key: Path | None = None, tools: Tools) -> None:
    """Unpack a bundle into a new directory, for which rauc verifies the payload as well; paths and errors as in `info`.

    Without `--trust-environment` rauc refuses bundles on file systems that it does not know (btrfs) or whose device it cannot see (a sandbox). That nobody
    changes the file meanwhile matters to a device, which installs what it read; here the bundle is judged and not used.
    """
    argv: list[Argument] = ["rauc", "--conf", configuration, "--keyring", keyring, "extract", "--trust-environment", bundle_file, directory]
    tools.run(argv, paths=_paths(configuration, bundle_file, keyring, key, directory.parent))


def _paths(*paths: Path | None) -> list[Path]:
    return [path for path in paths if path is not None]


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
