"""What the firmware starts is signed: BOOT-01."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.checks.common import place_of
from everest_secure.checks.core import Boot, Bundle, Location, NotApplicable, Notes, Scope, check
from everest_secure.errors import ArtefactError, UserError
from everest_secure.image.artefact import Artefact
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.fdt import DeviceTree
from everest_secure.image.fit import Fit, FitConfiguration
from everest_secure.image.pe import EfiProgram
from everest_secure.image.uki import Uki
from everest_secure.parse.boot_entries import BootEntry, boot_entries
from everest_secure.parse.certificates import Certificates, parse_certificates, public_key, subject
from everest_secure.parse.chain import build_chain
from everest_secure.pki.files import read_bounded
from everest_secure.pki.marking import is_development
from everest_secure.policy.parameters import Parameters

if TYPE_CHECKING:
    from everest_secure.parse.authenticode import EfiSignature

_SIGN = "Sign it with the product's secure boot key (EVEREST_SECURE_BOOT), or take it off the boot partition."
_VERIFIED = ("/loader/", "/grub", "/EFI/", "/boot/loader/", "/boot/grub")
"""Menus of the boot loaders that start a kernel by way of the firmware, as an EFI program."""
_SCRIPTS = ("/boot.scr", "/boot.scr.uimg", "/uEnv.txt", "/boot/boot.scr", "/boot/boot.scr.uimg", "/boot/uEnv.txt")
"""Where U-Boot looks for scripts and variables (doc/develop/distro.rst; boot/bootmeth_script.c)."""
_REQUIRED = "conf"
"""Value of `required` with which U-Boot starts no configuration that the key did not sign (doc/usage/fit/signature.rst)."""


@check("BOOT-01", on=Scope.BOOT)
def nothing_unsigned_boots(boot: Boot, policy: Parameters, note: Notes) -> None:
    """Every EFI program of every boot partition, and every configuration of every FIT, carries a signature of the product's that holds.

    No menu or script of a boot loader leads past them.
    """
    signed = _judge(boot.container, policy, note)
    entries = boot_entries(boot.container)
    if not signed and not entries:
        raise ArtefactError(f"{boot.container.name} holds nothing that firmware starts: neither EFI program nor FIT; give the whole disk")
    kinds = {artefact.name: artefact.kind for artefact in boot.container.walk()}
    for entry in entries:
        if not signed or not _is_judged(entry, kinds[entry.artefact]):
            what = "this entry boots a kernel that nothing signs: it is neither EFI program nor FIT"
            note.finding(what, at=place_of(entry), remedy="Boot a signed UKI or FIT (EVEREST_BOOT_CHAIN).")
    for artefact in boot.container.walk():
        for path in _SCRIPTS if artefact.tree is not None and artefact.kind != INITRAMFS else ():
            if artefact.tree is not None and artefact.tree.resolve(path):
                what = f"U-Boot's {path} decides what boots, and nothing signs it"
                note.finding(what, at=Location(artefact.name, path), remedy="Remove it: U-Boot's boot command is compiled in.")


def _is_judged(entry: BootEntry, kind: str) -> bool:
    """Whether what an entry boots is judged by itself: a UKI, a FIT, or a kernel that firmware verifies for systemd-boot or GRUB on its FAT file system."""
    return kind in ("uki", "fit") or (kind == "vfat" and entry.path.startswith(_VERIFIED))


@check("BOOT-01", on=Scope.BUNDLE)
def what_a_bundle_brings_to_boot_is_signed(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same of the boot partitions that a bundle installs."""
    if not _judge(bundle.artefact, policy, note):
        raise NotApplicable("the bundle brings neither EFI program nor FIT")


def _judge(container: Artefact, policy: Parameters, note: Notes) -> bool:
    """Judge all that boots; returns whether there is anything."""
    anchors = tuple(_anchors(policy))
    signers = _Signers(anchors)
    found = False
    for artefact in container.walk():
        program = artefact.facts.program if isinstance(artefact.facts, Uki) else artefact.facts
        if isinstance(program, EfiProgram):
            found = True
            _judge_program(artefact, program, signers, note)
        elif isinstance(artefact.facts, Fit):
            found = True
            _judge_fit(artefact, artefact.facts, list(_keys(container, anchors)), note)
    for signer, place in signers.used.items():
        if is_development(signer) and not policy.development_authorities:
            what = f"'{subject(signer)}', which signed this, is a certificate for development"
            note.finding(what, at=place, remedy="Sign with the product's own secure boot key, which the production build names.")
    return found


def _anchors(policy: Parameters) -> Iterator[x509.Certificate]:
    for file in policy.secure_boot_certificates:
        try:
            yield from certificates_in(file)
        except UserError as error:
            raise ArtefactError(f"secure_boot_certificates: {error}") from None


def certificates_in(file: Path) -> Certificates:
    """Return the certificates of a file that policy or command line name; raises UserError when it cannot be read or holds none."""
    found = parse_certificates(read_bounded(file), str(file))
    if not found:
        raise ArtefactError(f"{file} holds no certificate in PEM; name that of the product's db, or of the key that its U-Boot requires")
    return found


@dataclass
class _Signers:
    """Whom signatures are accepted of: the db's certificates, and where none is given, the signer that comes first."""

    anchors: Certificates
    used: dict[x509.Certificate, Location] = field(default_factory=dict)

    def accepts(self, signature: "EfiSignature") -> bool:
        """Whether firmware with the db would start it: the signer or one of its issuers is there; their validity is not asked for."""
        if not self.anchors:
            return not self.used or signature.signer in self.used
        return build_chain(signature.signer, intermediates=signature.certificates, anchors=self.anchors, partial=True).anchored

    def whose(self) -> str:
        """Say whose signatures are accepted."""
        return "a certificate of secure_boot_certificates" if self.anchors else f"'{subject(next(iter(self.used)))}', as the others are"


def _judge_program(artefact: Artefact, program: EfiProgram, signers: _Signers, note: Notes) -> None:
    from everest_secure.parse.authenticode import verify_program

    place = Location(artefact.name)
    if artefact.blob is None:
        raise ArtefactError(f"{artefact.name} has no content; give the image itself")
    held, faults = verify_program(artefact.blob, program)
    accepted = next((signature for signature in held if signers.accepts(signature)), None)
    if accepted:
        signers.used.setdefault(accepted.signer, place)
        known = "whom the policy names" if signers.anchors else "the policy names no secure_boot_certificates"
        note.saw(f"{artefact.name}: signed by '{subject(accepted.signer)}'; {known}")
    elif held:
        what = f"it is signed by '{subject(held[0].signer)}', and not by {signers.whose()}"
        note.finding(what, at=place, remedy=_SIGN)
    else:
        note.finding(faults[0] if faults else "it is an EFI program that nobody signed", at=place, remedy=_SIGN)


_Key = tuple[str, rsa.RSAPublicKey]
"""A key with a name for findings."""


def _keys(container: Artefact, anchors: Certificates) -> Iterator[list[_Key]]:
    """Yield the keys with which a configuration starts, all of a list together: one of the policy's certificates, else what U-Boot's own trees require.

    Those in a FIT with a kernel are the kernel's: what is to be verified does not say by which key.
    """
    named = [[(f"'{subject(anchor)}'", key)] for anchor in anchors if isinstance(key := public_key(anchor), rsa.RSAPublicKey)]
    if named:
        yield from named
        return
    kernels = {
        id(child)
        for artefact in container.walk()
        if isinstance(artefact.facts, Fit) and any(image.type.startswith("kernel") for image in artefact.facts.images.values())
        for child in artefact.children
    }
    for artefact in container.walk():
        if isinstance(artefact.facts, DeviceTree) and id(artefact) not in kernels:
            yield from _required(artefact.name, artefact.facts)


def _required(name: str, tree: DeviceTree) -> Iterator[list[_Key]]:
    """Yield the keys that a U-Boot requires of a configuration: all of them, unless it says that any will do (fit_config_verify_required_keys)."""
    from everest_secure.image.fit_signature import required_keys

    keys = [(f"'{each.name}' of {name}", each.key) for each in required_keys(tree) if each.required == _REQUIRED]
    node = tree.node("/signature")
    if node is not None and node.text("required-mode") == "any":
        yield from ([key] for key in keys)
    elif keys:
        yield keys


def _judge_fit(artefact: Artefact, fit: Fit, keys: list[list[_Key]], note: Notes) -> None:
    if not keys:
        raise ArtefactError(
            f"nothing says which key the U-Boot that starts {artefact.name} requires; name its certificate under secure_boot_certificates, or with --secure-boot-cert"
        )
    if not fit.configurations:
        note.finding("it is a FIT without configurations", at=Location(artefact.name), remedy=_SIGN)
    for configuration in fit.configurations.values():
        judged = {tuple(name for name, _ in wanted): _faults(fit, configuration, wanted) for wanted in keys}
        holding = next((names for names, faults in judged.items() if not faults), None)
        place = Location(artefact.name, configuration.path)
        if holding:
            note.saw(f"{artefact.name}: {configuration.name} is signed with the key of {' and of '.join(holding)}")
        else:
            note.finding(next(iter(judged.values()))[0], at=place, remedy="Sign every configuration of the FIT (everest-secure-fit).")


def _faults(fit: Fit, configuration: FitConfiguration, keys: list[_Key]) -> tuple[str, ...]:
    from everest_secure.image.fit_signature import configuration_faults

    return tuple(fault for _, key in keys for fault in configuration_faults(fit, configuration, key))
