"""Bundles that something is wrong with: the parts of a good one, put together and signed anew as an attacker or a careless builder would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from everest_secure.bundle.device import load_device
from everest_secure.bundle.judge import Judgement, judge
from everest_secure.bundle.verdict import Word
from everest_secure.image import blob, raucb
from everest_secure.image.manifest import parse_manifest
from everest_secure.parse.cms import verify_signed_data
from everest_secure.run import Argument, HostTools, Tools
from support import pki as support
from support.authority import Pair, issue
from support.bundle import incompressible

TOOLS = HostTools()


@dataclass(frozen=True)
class Parts:
    """A bundle taken apart."""

    data: bytes
    tree: bytes
    cms: bytes
    length: bytes
    manifest: bytes

    def join(self) -> bytes:
        return self.data + self.tree + self.cms + self.length

    def with_cms(self, cms: bytes) -> "Parts":
        return replace(self, cms=cms, length=len(cms).to_bytes(8, "big"))


def take_apart(bundle: Path) -> Parts:
    raw = bundle.read_bytes()
    envelope = raucb.split_bundle(blob.from_file(bundle))
    assert envelope is not None
    signed = verify_signed_data(envelope.cms, bundle.name)
    assert signed.content is not None
    size = int(parse_manifest(signed.content, bundle.name).sections["bundle"]["verity-size"])
    end = envelope.payload.size
    return Parts(raw[: end - size], raw[end - size : end], envelope.cms, raw[-8:], signed.content)


@dataclass(frozen=True)
class Authorities:
    """A hierarchy with small keys, and everything that can be wrong with a signer."""

    directory: Path
    root: Pair
    intermediate: Pair
    signer: Pair

    def keyring(self, name: str, *pems: str) -> Path:
        path = self.directory / f"{name}.keyring.pem"
        path.write_text("".join(pems))
        return path

    def files(self, pair: Pair, name: str) -> tuple[Path, Path]:
        """Write a pair; return key and certificate."""
        key, certificate = self.directory / f"{name}.key.pem", self.directory / f"{name}.cert.pem"
        key.write_text(pair.key_pem)
        certificate.write_text(pair.pem)
        return key, certificate

    def sign(self, manifest: bytes, *signers: Pair, above: Sequence[Pair] | None = None, digest: str = "sha256") -> bytes:
        """Sign with openssl, past every check of ours and of rauc."""
        argv: list[Argument] = ["openssl", "cms", "-sign", "-binary", "-nosmimecap", "-nodetach", "-outform", "DER", "-md", digest]
        for number, pair in enumerate(signers):
            key, certificate = self.files(pair, f"sign-{number}")
            argv += ["-signer", certificate, "-inkey", key]
        others = self.directory / "above.pem"
        others.write_text("".join(pair.pem for pair in ((self.intermediate,) if above is None else above)))
        if others.stat().st_size:
            argv += ["-certfile", others]
        return TOOLS.run(argv, stdin=manifest)


def authorities(directory: Path, organization: str = "A") -> Authorities:
    root = issue(f"Root {organization}", authority=True)
    intermediate = issue(f"Intermediate {organization}", by=root, authority=True, path_length=0)
    return Authorities(directory, root, intermediate, issue(f"Signer {organization}", by=intermediate))


def good_bundle(pki: Authorities, name: str, *, seed: int = 16 * 1024, form: str = "verity") -> Path:
    """Make a bundle with the real rauc."""
    content, bundle = pki.directory / f"content-{name}", pki.directory / f"{name}.raucb"
    content.mkdir()
    (content / "rootfs.img").write_bytes(incompressible(seed))
    (content / "manifest.raucm").write_text(
        f"[update]\ncompatible=charger\nversion=2.0.0\n\n[bundle]\nformat={form}\n\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    key, certificate = pki.files(pki.signer, f"{name}-signer")
    _, above = pki.files(pki.intermediate, f"{name}-above")
    TOOLS.run(["rauc", "--cert", certificate, "--key", key, "--intermediate", above, "bundle", content, bundle])
    return bundle


@dataclass(frozen=True)
class Case:
    """What a forger has at hand."""

    pki: Authorities
    other: Authorities
    parts: Parts
    another: Parts
    """Of another bundle of the same signer."""
    tools: Tools
    """With the rauc that judges."""

    def signed(self, *signers: Pair, above: Sequence[Pair] | None = None, digest: str = "sha256") -> bytes:
        """The same bundle, signed by others."""
        return self.manifest(self.parts.manifest, *signers, above=above, digest=digest)

    def manifest(self, manifest: bytes, *signers: Pair, above: Sequence[Pair] | None = None, digest: str = "sha256") -> bytes:
        cms = self.pki.sign(manifest, *(signers or (self.pki.signer,)), above=above, digest=digest)
        return self.parts.with_cms(cms).join()

    def added(self, text: bytes) -> bytes:
        """The manifest says more and is signed."""
        return self.manifest(self.parts.manifest + b"\n" + text)

    def changed(self, old: bytes, new: bytes) -> bytes:
        """The manifest says something else and is signed."""
        assert self.parts.manifest.count(old) == 1
        return self.manifest(self.parts.manifest.replace(old, new))


def judged(case: Case, content: bytes, directory: Path, *, keyring: Path | None = None, **wishes: Any) -> Judgement:
    bundle = directory / "update.raucb"
    bundle.write_bytes(content)
    device = load_device(keyring or case.pki.directory / "own.keyring.pem", **wishes)
    return judge(bundle, device=device, now=support.now(), tools=case.tools, thorough=True)


def require_refused(found: Judgement, why: Word) -> None:
    assert found.difference == ""
    assert {reason.why for reason in found.independent.reasons} == {why}
    assert found.rauc is not None
    assert found.rauc.refusal
