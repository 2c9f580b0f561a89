"""All that is done with bundles, by this machine's rauc, by Debian 13's and by the layers': what either makes, the other takes."""

from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.bundle import inspect, rules
from everest_secure.bundle.create import create
from everest_secure.bundle.device import load_device
from everest_secure.bundle.extract import extract
from everest_secure.bundle.judge import Judgement, judge
from everest_secure.bundle.resign import Source, resign
from everest_secure.pki import lifecycle
from everest_secure.run import HostTools, Tools
from support import pki as support
from support.bundle import Workshop
from support.images import throw_away_signer
from support.raucs import DEBIAN_13, RAUCS, LayersRauc, tools_of, version


@pytest.fixture(params=RAUCS)
def tools(request: pytest.FixtureRequest) -> Tools:
    return tools_of(request.param, request)


@pytest.fixture
def release(tmp_path: Path) -> Workshop:
    (tmp_path / "release").mkdir()
    return Workshop(tmp_path / "release", support.make(tmp_path / "release" / "pki"))


def accepted(bundle: Path, keyring: Path, tools: Tools, key: Path | None = None) -> Judgement:
    """Judge a bundle down to its payload, which must be accepted."""
    found = judge(bundle, device=load_device(keyring, decryption_key=key), now=support.now(), tools=tools, thorough=True)
    assert (found.accepted, found.difference) == (True, ""), found
    return found


def test_the_rauc_of_debian_13_is_a_newer_one(request: pytest.FixtureRequest) -> None:
    assert version(tools_of(DEBIAN_13, request)) >= (1, 13)


@pytest.mark.yocto
def test_the_rauc_of_the_layers_is_the_one_that_they_name(layers_rauc: LayersRauc) -> None:
    assert HostTools().run([layers_rauc.program, "--version"]) == f"rauc {layers_rauc.recipe}\n".encode()
    assert layers_rauc.recipe == ".".join(map(str, rules.NEWEST)), "what the rules are written by"


def test_a_bundle_is_made_verified_shown_unpacked_and_signed_again(workshop: Workshop, release: Workshop, tools: Tools) -> None:
    made = create(workshop.description(), workshop.release(tools=tools), workshop.signer())
    assert inspect.info(workshop.output) == replace(made, verified=False)
    for each in (tools, HostTools()):
        judged = accepted(workshop.output, workshop.pki.keyring, each)
    (image,) = extract(judged, workshop.directory / "out")
    assert image.read_bytes() == (workshop.directory / "rootfs.squashfs").read_bytes()
    resign(Source(workshop.output, workshop.device()), release.release(tools=tools), release.signer())
    for each in (tools, HostTools()):
        accepted(release.output, release.pki.keyring, each)


def test_an_encrypted_bundle_is_made_verified_and_signed_again(workshop: Workshop, release: Workshop, tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "recipient").mkdir()
    key, certificate = throw_away_signer(tmp_path / "recipient")
    key.chmod(0o600)
    create(replace(workshop.description(), format="crypt"), workshop.release(tools=tools, recipients=(certificate,)), workshop.signer())
    for each in (tools, HostTools()):
        accepted(workshop.output, workshop.pki.keyring, each, key)
    source = Source(workshop.output, load_device(workshop.pki.keyring, decryption_key=key))
    device = load_device(release.pki.keyring, decryption_key=key)
    resign(source, release.release(device=device, tools=tools, recipients=(certificate,)), release.signer())
    for each in (tools, HostTools()):
        accepted(release.output, release.pki.keyring, each, key)


def test_a_new_root_is_followed_as_it_is_by_the_old_rauc(workshop: Workshop, tools: Tools) -> None:
    """With both roots in the keyring, and for a device that has the old one alone."""

    def rotate(name: str, issuer: str | None = None) -> str:
        return lifecycle.rotate(workshop.pki.directory, name, access=support.access(), now=support.now(), issuer=issuer)

    signer = rotate("signer", issuer=rotate("intermediate", issuer=rotate("root")))
    who = replace(workshop.signer(signer), intermediates=(workshop.pki.chain(signer),))
    create(workshop.description(), workshop.release(tools=tools), who)
    for keyring in (workshop.pki.keyring, workshop.pki.certificate("root"), workshop.pki.certificate("root-2")):
        accepted(workshop.output, keyring, tools)
