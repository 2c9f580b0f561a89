"""The rehearsal of a release, as docs/release.md and docs/pki.md describe it, with the commands that people type.

From new keys to a bundle of the build, signed again on a token, with a signer that is rotated and revoked and a root that is followed by another. The
devices of each generation judge every bundle: RAUC with the system.conf of the device, and `bundle verify --device`, both of its verifiers.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from everest_secure.paths import data
from support.bundle import incompressible
from support.reference import require
from support.release import PASSPHRASE, everest_secure
from support.softhsm import MODULE, PIN, SoftHsm, softhsm

pytestmark = pytest.mark.usefixtures("each_rauc")

CONFIGURATION = """[system]
compatible=charger
bootloader=noop
statusfile=per-slot
bundle-formats=verity

[keyring]
path=keyring.pem
check-purpose=codesign
check-crl={}
"""
TOKEN = ("--pkcs11-module", MODULE, "--pin-env", "TOKEN_PIN")


@dataclass(frozen=True)
class Rehearsal:
    """A workshop and a release host in one directory, and the devices of the field."""

    directory: Path
    devices: dict[str, Path] = field(default_factory=dict)
    """Root file systems, by what their image came with."""
    bundles: dict[str, Path] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.directory / "release-log.jsonl"

    def run(self, *arguments: str | Path) -> str:
        """Run a command of everest-secure, which must do what it is asked for."""
        done = everest_secure(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def pki(self, command: str, *arguments: str | Path) -> None:
        """Run a command on the release's PKI, whose update keys are on tokens."""
        self.run("pki", command, self.directory / "release", *arguments, *TOKEN)

    def profile(self, name: str) -> Path:
        """Copy a shipped profile, as docs/pki.md says, with keys that are made in no time."""
        copy = self.directory / f"{name}.yml"
        copy.write_text((data("conf") / f"pki/{name}.yml").read_text().replace("key: rsa-4096", "key: ecdsa-p384"))
        return copy

    def ship(self, generation: str, *roots: str, lists: bool) -> None:
        """Give devices an image: its keyring, and RAUC's configuration."""
        root = self.directory / "devices" / generation
        for name in ("etc/rauc", "usr"):
            (root / name).mkdir(parents=True)
        wanted = [option for name in roots for option in ("--root", name)]
        keyring = root / "etc/rauc/keyring.pem"
        self.run("pki", "export-keyring", self.directory / "release", keyring, *wanted, *(["--lists"] if lists else []))
        (root / "etc/rauc/system.conf").write_text(CONFIGURATION.format("true" if lists else "false"))
        self.devices[generation] = root

    def build(self) -> None:
        """Make a bundle as the build does, signed for nobody but the workshop."""
        (self.directory / "rootfs.squashfs").write_bytes(incompressible(256 * 1024))
        description = self.directory / "update.yml"
        description.write_text("compatible: charger\nversion: 1.4.0\nimages:\n  rootfs: {file: rootfs.squashfs, name: rootfs.img}\n")
        self.bundles["build"] = self.directory / "build.raucb"
        self.run("bundle", "create", description, self.bundles["build"], *self.signer("development", "signer"), *self.trusted("--keyring"))

    def release(self, signer: str, device: str) -> None:
        """Sign the build's bundle again with a key on a token, for a generation of devices."""
        made = self.bundles[signer] = self.directory / f"{signer}.raucb"
        who = (*self.signer("release", signer), *TOKEN, "--log", self.log)
        self.run("bundle", "resign", self.bundles["build"], made, *self.trusted("--keyring"), "--device", self.devices[device], *who)

    def trusted(self, option: str) -> tuple[str | Path, ...]:
        return option, self.directory / "development/keyring.pem"

    def signer(self, pki: str, name: str) -> tuple[str | Path, ...]:
        """Return the options that name a signer, its key in a file or on a token."""
        place = self.directory / pki
        uri = place / f"{name}.key.uri"
        key = uri.read_text().strip() if uri.exists() else place / f"{name}.key.pem"
        return "--key", key, "--cert", place / f"{name}.cert.pem", "--intermediate", place / f"{name}.chain.pem"

    def verdicts(self) -> Mapping[tuple[str, str], str]:
        """Return what every device says of every bundle: empty when it takes it, else the first reason. All three verifiers agree, or the test ends here."""
        return {(device, bundle): self.verdict(device, bundle) for device in self.devices for bundle in self.bundles}

    def verdict(self, device: str, bundle: str) -> str:
        root, file = self.devices[device], self.bundles[bundle]
        done = everest_secure("bundle", "verify", file, "--device", root, "--json")
        assert done.returncode in (0, 1), done.stderr
        said = json.loads(done.stdout)
        asked = subprocess.run(["rauc", f"--conf={root}/etc/rauc/system.conf", "info", file], capture_output=True, check=False)
        assert said["accepted"] is (done.returncode == 0) is (asked.returncode == 0), (device, bundle, said, asked.stderr)
        return next((str(reason["why"]) for reason in said["independent"]["reasons"]), "")


@pytest.fixture
def rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    require("rauc", "mksquashfs", "softhsm2-util")
    monkeypatch.setenv("TOKEN_PIN", PIN)
    with softhsm(tmp_path / "hsm") as hsm:
        hsm.add_token("offline")
        yield started(Rehearsal(tmp_path))


def started(rehearsal: Rehearsal) -> Rehearsal:
    """Make both PKIs and ship the first images: to devices that look at revocation lists, and to those that do not."""
    rehearsal.run("pki", "init", rehearsal.directory / "development", "--profile", rehearsal.profile("development"))
    places = {"root": "offline", "intermediate": "offline", "signer": "release"}
    tokens = [option for name, token in places.items() for option in ("--on-token", f"{name}=pkcs11:token={token}")]
    rehearsal.pki("init", "--profile", rehearsal.profile("release"), "--passphrase-env", "PASSPHRASE", *tokens)
    rehearsal.pki("crl", "root")
    rehearsal.pki("crl", "intermediate")
    rehearsal.ship("first", lists=True)
    rehearsal.ship("first, without lists", lists=False)
    return rehearsal


def test_a_release_is_signed_on_a_token_its_signer_replaced_and_its_root_followed_without_losing_a_device(rehearsal: Rehearsal) -> None:
    rehearsal.build()
    rehearsal.release("signer", "first")

    rehearsal.pki("rotate", "signer", "--on-token", "pkcs11:token=release")
    rehearsal.pki("revoke", "signer", "--reason", "key-compromise")
    rehearsal.ship("signer revoked", lists=True)
    rehearsal.release("signer-2", "first")

    rehearsal.pki("rotate", "root", "--on-token", "pkcs11:token=offline")
    rehearsal.pki("rotate", "intermediate", "--issuer", "root-2", "--on-token", "pkcs11:token=offline")
    rehearsal.pki("rotate", "signer", "--issuer", "intermediate-2", "--on-token", "pkcs11:token=release")
    rehearsal.pki("crl", "root-2")
    rehearsal.pki("crl", "intermediate-2")
    rehearsal.ship("both roots", lists=True)
    rehearsal.ship("new root", "root-2", lists=True)
    rehearsal.ship("new root, without lists", "root-2", lists=False)
    rehearsal.release("signer-3", "both roots")  # for devices that know both roots, and all the same taken by those that know one of them
    rehearsal.run("pki", "status", rehearsal.directory / "release")

    nobody_s = dict.fromkeys(((device, "build") for device in rehearsal.devices), "untrusted")
    assert {pair: why for pair, why in rehearsal.verdicts().items() if why} == {
        **nobody_s,
        ("first", "signer-3"): "revocation-list",  # those of the new authorities have to come a release before
        ("signer revoked", "signer"): "revoked",
        ("signer revoked", "signer-3"): "revocation-list",
        ("both roots", "signer"): "revoked",
        ("new root", "signer"): "untrusted",
        ("new root", "signer-2"): "untrusted",
        ("new root, without lists", "signer"): "untrusted",
        ("new root, without lists", "signer-2"): "untrusted",
    }
    require_intact_log(rehearsal)
    require_no_secret(rehearsal.directory)


def require_intact_log(rehearsal: Rehearsal) -> None:
    """The log has a line for each bundle, in order, and each digest is that of the file."""
    lines = [json.loads(line) for line in rehearsal.log.read_text().splitlines()]
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in rehearsal.bundles.items()}
    assert [(line["what"], line["bundle"], line["sha256"]) for line in lines] == [
        ("create" if name == "build" else "resign", f"{name}.raucb", digest) for name, digest in digests.items()
    ]
    assert {line["source"]["sha256"] for line in lines[1:]} == {digests["build"]}
    assert len({line["spki_sha256"] for line in lines}) == len(lines) == 4


def require_no_secret(directory: Path) -> None:
    """Neither PIN nor passphrase was written down, but for the file that the tests' token keeps its PIN in."""
    files = [each for each in directory.rglob("*") if each.is_file() and each != SoftHsm(directory / "hsm").pin]
    assert len(files) > 50
    assert [file for file in files if any(secret.encode() in file.read_bytes() for secret in (PIN, PASSPHRASE))] == []
    assert os.environ["TOKEN_PIN"] == PIN, "what was searched for is what was used"
