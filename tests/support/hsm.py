"""A PKCS#11 token in a directory: SoftHSM with one key, as a signer would hold it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

PIN = "73519046"
"""A number that is found nowhere by accident."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token with one private key."""

    configuration: Path
    """SoftHSM's configuration (SOFTHSM2_CONF)."""
    pin: Path
    """File of mode 0600 with the PIN."""

    @property
    def uri(self) -> str:
        """The key, with the place of its PIN (RFC 7512)."""
        return f"pkcs11:token=bundles;object=signer;type=private?pin-source={self.pin}"


def make_token(directory: Path, key: Path) -> Token:
    """Import an unencrypted PKCS#8 key into a new token below `directory`."""
    made = Token(directory / "softhsm2.conf", directory / "pin")
    (directory / "tokens").mkdir(parents=True)
    made.configuration.write_text(f"directories.tokendir = {directory / 'tokens'}\n")
    made.pin.touch(mode=0o600)
    made.pin.write_text(PIN)
    for arguments in (
        ("--init-token", "--free", "--label", "bundles", "--so-pin", "5" + PIN),
        ("--import", str(key), "--token", "bundles", "--label", "signer", "--id", "01"),
    ):
        environment = {"SOFTHSM2_CONF": str(made.configuration), "PATH": "/usr/bin:/bin"}
        subprocess.run(["softhsm2-util", *arguments, "--pin", PIN], env=environment, check=True, capture_output=True)
    return made
