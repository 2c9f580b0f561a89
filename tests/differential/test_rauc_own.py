"""The bundles and the PKI with which RAUC tests itself: both verifiers say of them what RAUC's tests do (its test/rauc.t, bundle.c, signature.c).

RAUC's tests ask for the purpose of mail by default, a charger for that of code; where nothing but that speaks against a bundle here, RAUC's tests accept it.
Their revocation lists last until 2028, so that everything here happens in 2022, by faketime for rauc.
"""

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everest_secure.bundle.device import load_device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.judge import Judgement, judge
from everest_secure.run import Argument, HostTools
from support.clock import other_time
from support.forgery import Parts, take_apart
from support.raucs import LAYERS, LayersRauc
from support.reference import require
from support.sources import source_archive
from support.tools import ArrangedTools

pytestmark = pytest.mark.usefixtures("each_rauc")

NOW = datetime(2022, 6, 1, tzinfo=UTC)


class In2022(ArrangedTools):
    """The programs of this machine, for which it is 2022."""

    def called(self, argv: Sequence[Argument]) -> Sequence[Argument]:
        return [*other_time(f"@{NOW:%Y-%m-%d %H:%M:%S}"), *argv]


@dataclass(frozen=True)
class Tests:
    """RAUC's directory `test`."""

    __test__ = False

    directory: Path
    parts: Parts
    """Of its verity bundle, to be signed by others."""

    def keyring(self, name: str) -> Path:
        return self.directory / f"openssl-ca/{name}.pem"

    def signed(self, signer: str, *, above: str = "") -> bytes:
        """Return the verity bundle, signed with `DIRECTORY/NAME` of the PKI; an authority's certificate travels with it if one is named."""
        place, name = signer.split("/")
        pki = self.directory / "openssl-ca"
        argv: list[Argument] = ["openssl", "cms", "-sign", "-binary", "-nosmimecap", "-nodetach", "-outform", "DER"]
        argv += ["-signer", pki / place / f"{name}.cert.pem", "-inkey", pki / place / "private" / f"{name}.pem"]
        argv += ["-certfile", pki / above / "ca.cert.pem"] if above else []
        return self.parts.with_cms(HostTools().run(argv, stdin=self.parts.manifest)).join()


def of_debian(place: Path) -> Path:
    """Return the tests of Debian's sources of rauc, unpacked in a directory."""
    archive = source_archive("rauc")
    if archive is None:
        pytest.skip("apt cannot have the sources of rauc here")
    with tarfile.open(archive) as sources:
        sources.extractall(place, [each for each in sources if each.name.split("/")[1:2] == ["test"]], filter="data")
    (directory,) = place.glob("*/test")
    return directory


@pytest.fixture(scope="module")
def rauc(each_rauc: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tests:
    """The tests that come with the sources of the rauc that judges."""
    require("rauc", "faketime", "unsquashfs")
    if each_rauc == LAYERS:
        layers: LayersRauc = request.getfixturevalue("layers_rauc")
        directory = layers.code / "test"
    else:
        directory = of_debian(tmp_path_factory.mktemp("rauc"))
    for key in directory.rglob("private-key-*.pem"):
        key.chmod(0o600)
    return Tests(directory, take_apart(directory / "good-verity-bundle.raucb"))


def judged(bundle: Path, keyring: Path, *, crl: bool = False, key: Path | None = None) -> Judgement:
    """Judge as a device does; RAUC's keyrings hold lists, which count if the device looks at them."""
    device = replace(load_device(keyring, rsa_bits=2048, decryption_key=key), check_crl=crl)
    return judge(bundle, device=device, now=NOW, tools=In2022(), thorough=True)


def reasons(found: Judgement) -> set[str]:
    """Why it is refused; both verifiers agree, or the test ends here."""
    assert found.difference == ""
    assert found.rauc is not None
    assert found.rauc.accepted is not bool(found.independent.reasons)
    return {str(reason.why) for reason in found.independent.reasons}


BUNDLES: dict[str, set[str]] = {
    "good-verity-bundle": set(),
    "good-casync-bundle-verity": set(),
    "good-adaptive-meta-bundle": set(),
    "good-crypt-bundle-unencrypted": {"unencrypted"},  # which RAUC's tests accept, and no device installs
    "good-bundle": {"format"},  # plain, as are the next three
    "good-casync-bundle-1.4": {"layout"},  # of no whole number of blocks
    "good-casync-bundle-1.5.1": {"format"},
    "invalid-sig-bundle": {"format"},
}


@pytest.mark.parametrize("name", BUNDLES)
def test_their_bundles_are_refused_for_what_a_charger_wants_besides_alone(rauc: Tests, name: str) -> None:
    bundle = rauc.directory / f"{name}.raucb"
    if not bundle.exists():
        pytest.skip("these tests of RAUC are older than that bundle")
    found = reasons(judged(bundle, rauc.keyring("dev-ca")))
    wanted = BUNDLES[name]
    assert found == (wanted if wanted & {"format", "layout"} else wanted | {"purpose"})


def test_their_encrypted_bundle_opens_with_the_keys_of_its_recipients_alone(rauc: Tests) -> None:
    bundle = rauc.directory / "good-crypt-bundle-encrypted.raucb"
    for kind in ("rsa-4096", "ecc"):
        keys = sorted((rauc.directory / f"openssl-enc/keys/{kind}").glob("private-key-*.pem"))
        assert len(keys) == 10
        assert reasons(judged(bundle, rauc.keyring("dev-ca"), key=keys[0])) == {"purpose"}
    stranger = rauc.directory / "openssl-ca/rel/private/release-1.pem"
    stranger.chmod(0o600)
    assert reasons(judged(bundle, rauc.keyring("dev-ca"), key=stranger)) == {"signature"}
    with pytest.raises(BundleError, match="nobody but a recipient can verify it"):
        judged(bundle, rauc.keyring("dev-ca"))


SIGNERS: dict[tuple[str, str, str], set[str]] = {
    # signer, authority that travels in the bundle, keyring: why RAUC's tests refuse it when the purpose is the signer's
    ("dev/autobuilder-1", "", "dev-ca"): set(),
    ("dev/autobuilder-1", "", "provisioning-ca"): {"untrusted"},
    ("dev/autobuilder-1", "dev", "provisioning-ca"): set(),
    ("dev/autobuilder-2", "", "dev-ca"): {"revoked"},
    ("dev/autobuilder-2", "dev", "provisioning-ca"): {"revoked"},
    ("rel/release-1", "", "dev-ca"): set(),
    ("rel/release-1", "", "dev-partial-ca"): {"untrusted"},
    ("rel/release-1", "", "rel-partial-ca"): {"untrusted"},
    ("rel/release-1", "rel", "provisioning-ca"): set(),
    ("rel/release-1", "", "dev-only-ca"): {"untrusted"},
    ("rel/release-2018", "", "rel-ca"): {"expired"},
}  # fmt: skip


@pytest.mark.parametrize(("signer", "above", "keyring"), SIGNERS, ids="-".join)
def test_their_signers_are_refused_for_the_same(rauc: Tests, tmp_path: Path, signer: str, above: str, keyring: str) -> None:
    (tmp_path / "x.raucb").write_bytes(rauc.signed(signer, above=above))
    found = reasons(judged(tmp_path / "x.raucb", rauc.keyring(keyring), crl="partial" not in keyring and "only" not in keyring))
    assert found - {"purpose", "revocation-list"} == SIGNERS[signer, above, keyring]
    assert "purpose" in found  # a charger wants more of a signer than those have


PURPOSES = {"dev/xku-codeSigning": set(), "dev/xku-emailProtection": {"purpose"}, "root/xku-timeStamping": {"purpose"}}


@pytest.mark.parametrize("signer", PURPOSES)
def test_of_their_purposes_code_signing_alone_is_taken(rauc: Tests, tmp_path: Path, signer: str) -> None:
    (tmp_path / "x.raucb").write_bytes(rauc.signed(signer))
    for crl in (True, False):
        assert reasons(judged(tmp_path / "x.raucb", rauc.keyring("dev-ca"), crl=crl)) == PURPOSES[signer]
