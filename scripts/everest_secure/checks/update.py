"""What stands between a signed bundle and the slots, and who keeps it: RAUC-05 to RAUC-08."""

import re
from collections.abc import Iterator
from posixpath import dirname, join, normpath

from everest_secure.checks.activation import activated, idle
from everest_secure.checks.bundle import devices, facts_of, manifest_of
from everest_secure.checks.common import at, configuration, started, units_of, words
from everest_secure.checks.core import Bundle, Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.deeds import said_by
from everest_secure.checks.rauc import configuration as rauc_configuration
from everest_secure.checks.rauc import present_configuration, read_configuration
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.image.manifest import slot_class
from everest_secure.image.tree import Node
from everest_secure.parse.commands import PREFIXES, program
from everest_secure.parse.openssl_providers import KEY_PROVIDERS, providers_of
from everest_secure.parse.rauc_conf import RaucConfig
from everest_secure.parse.unit_file import effective
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

VERSION = re.compile(r"(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){0,2}(-[0-9A-Za-z.]{1,64})?(\+[0-9A-Za-z.-]{1,64})?", re.ASCII)
"""A version that RAUC can compare (semver.org without hyphens in pre-releases; missing numbers are 0)."""
MODULE, HEALTH = "Linux_Systemd_Rauc", "VerifyUpdateScriptPath"
_NO_DEVICE = "/dev/null"
_CALL = r"\bde\.pengutronix\.rauc\b[^\n]*\bMark\b[^\n]*\bgood\b"
"""Of RAUC's D-Bus interface (Installer.Mark of rauc-installer.xml)."""
_MARKING = {
    "rauc": r"\bmark-good\b",
    "busctl": _CALL,
    "dbus-send": _CALL,
    "gdbus": _CALL,
    "fw_setenv": r"\bBOOT_\S+_LEFT[\"' =]+[^0\s\"'=;|&]",
    "grub-editenv": r"\S_OK=1",
    "barebox-state": r"\bremaining_attempts=[^0]",
}
"""What marks a slot good, by program: RAUC, who calls it, and what sets the variables of boot loaders, as RAUC does (its src/bootloaders)."""
_MARKS = re.compile("|".join((_CALL, *(rf"(?<![\w.-]){name}\s[^\n;|&]*{what}" for name, what in _MARKING.items() if what != _CALL))))


@check("RAUC-05", on=Scope.ROOT)
def device_refuses_versions_below_its_own_least_one(root: Root, policy: Parameters, note: Notes) -> None:
    """`min-bundle-version` is there and can be compared; the device's own handler, where it has one, is a program of the root."""
    config = present_configuration(root, note)
    if config is None:
        return
    least = config.file.value("system", "min-bundle-version")
    place = at(root, config.path, config.line("system", "min-bundle-version"))
    remedy = "Set min-bundle-version in [system] to the version below which nothing comes back."
    if not least:
        note.finding("the device installs bundles of any version: min-bundle-version is not set", at=place, remedy=remedy)
    elif not VERSION.fullmatch(least):
        note.finding(f"min-bundle-version is '{least}', which is no semantic version", at=place, remedy=remedy)
    elif not least.strip("0."):
        note.finding(f"the device installs bundles of any version: none is below min-bundle-version {least}", at=place, remedy=remedy)
    else:
        note.saw(f"{config.path}: min-bundle-version {least}")
    handler = config.file.value("handlers", "pre-install")
    if handler:
        path = normpath(join(dirname(config.path), handler))
        _is_program(root, path, "the pre-install handler", note)
        note.saw(f"{config.path}: pre-install {path}")


def _is_program(root: Root, path: str, what: str, note: Notes) -> None:
    """Note a finding unless the path is a program on the root file system that root alone can change."""
    node = root.tree.resolve(path) if path else None
    if node is None or not node.is_file or not node.mode & 0o111:
        wrong = f"{what} '{path}' is no program in the image"
        note.finding(wrong, at=at(root, path), remedy="Install it, or name the one that is installed.")
    elif lies_on_the_root(root, path, note) and (node.uid or node.mode & 0o022):
        wrong = f"{what} '{path}' can be changed by others than root"
        note.finding(wrong, at=at(root, path), remedy="Give it to root with mode 0755.")


@check("RAUC-05", on=Scope.BUNDLE)
def bundle_asks_the_device_before_it_is_installed(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The manifest has a version that can be compared and the hook `install-check`, whose program is in the bundle."""
    manifest, place = manifest_of(bundle), Location(bundle.artefact.name)
    version = manifest.sections.get("update", {}).get("version", "")
    if not VERSION.fullmatch(version):
        what = f"the bundle's version '{version}' is no semantic version, so that a downgrade cannot be seen"
        note.finding(what, at=place, remedy="Set RAUC_BUNDLE_VERSION to a semantic version.")
    hooks = manifest.sections.get("hooks", {})
    if "install-check" not in _words(hooks.get("hooks", "")):
        remedy = "Inherit everest-secure-bundle, or add the hook install-check to the bundle."
        note.finding("the bundle has no install check", at=place, remedy=remedy)
        return
    _hook_is_program(bundle, hooks.get("filename", ""), note)
    note.saw(f"manifest: version={version}, install-check by {hooks.get('filename')}")


def _hook_is_program(bundle: Bundle, name: str, note: Notes) -> None:
    node = _payload_node(bundle, name)
    if node is None or not node.is_file or not node.mode & 0o111:
        what = f"the hook '{name}' is no program in the bundle"
        note.finding(what, at=Location(bundle.artefact.name), remedy="Put the program into the bundle, executable.")


def _payload_node(bundle: Bundle, name: str) -> Node | None:
    trees = [child.tree for child in bundle.artefact.children if child.tree is not None]
    return trees[0].get(f"/{name}") if trees and name else None


def _words(value: str) -> list[str]:
    """Words of a list in a key file, separated by semicolons."""
    return [word.strip() for word in value.split(";") if word.strip()]


@check("RAUC-06", on=Scope.ROOT)
def one_unit_decides_over_a_new_slot(root: Root, policy: Parameters, note: Notes) -> None:
    """The gate of the policy starts and its program is there; no other unit that starts marks a slot good."""
    gate = started(root).get(policy.update_gate)
    owner = ""
    if gate is None:
        unit = units_of(root.tree).unit(policy.update_gate)
        what = f"{policy.update_gate} does not start, so that nobody ends the trial of a slot"
        note.finding(what, at=at(root, unit.path), remedy="Install everest-health-gate, or name the product's own unit in 'update_gate'.")
    else:
        owner = activated(gate.unit)
        for what in idle(root, gate.unit):
            remedy = "Install everest-health-gate."
            note.finding(f"{what}, so that nobody ends the trial of a slot", at=at(root, gate.unit.path), remedy=remedy)
        decides = units_of(root.tree).unit(owner)
        for command in decides.commands:
            if command[0].startswith("/"):  # what a shell or systemd looks up by its name is in the directories of programs or nowhere
                _is_program(root, command[0], f"what {owner} runs,", note)
        if any(_marks(command) for command in decides.every_command) and not _waits_for_health(decides):
            what = f"{owner} marks the slot good without a health check before"
            note.finding(what, at=at(root, decides.path), remedy="Add ExecCondition= with the check, or Requires= and After= its unit.")
        note.saw(f"{gate.path}: {gate.unit.name} starts {owner}")
    for name, start in started(root).items():
        if name != owner and _marks_good(root, start.unit):
            what = f"{name} marks the slot good, too, before its health is known"
            note.finding(what, at=at(root, start.unit.path), remedy=f"Mask {name}: the decision has one owner.")


def _marks_good(root: Root, unit: Unit) -> bool:
    """Whether a command of a unit, whenever it runs, or a script of the image that one runs, marks a slot good."""
    return any(map(_marks, unit.every_command)) or any(_MARKS.search(text) for text, path in said_by(root, unit) if path != unit.path)


def _marks(command: tuple[str, ...]) -> bool:
    """Whether a command, or the one that it runs by its last words, marks a slot good."""
    tails = ((program(command[at:]), " ".join(command[at + 1 :])) for at in range(len(command)))
    return any(name in _MARKING and re.search(_MARKING[name], rest) for name, rest in tails)


def _waits_for_health(unit: Unit) -> bool:
    """Whether something before the commands can stop them; a command with the prefix `-` may fail and stops nothing."""
    before = [each.value for key in ("ExecCondition", "ExecStartPre") for each in effective(unit.assigned("Service", key))]
    if any("-" not in command[: len(command) - len(command.lstrip(PREFIXES))] for command in before):
        return True
    needed = {*unit.words("Unit", "Requires"), *unit.words("Unit", "BindsTo")}
    return any(name.endswith(".service") and name != "rauc.service" for name in needed.intersection(unit.words("Unit", "After")))


@check("RAUC-06", on=Scope.ROOT)
def a_new_slot_is_tried_before_it_is_kept(root: Root, policy: Parameters, note: Notes) -> None:
    """RAUC tells a boot loader of a new slot, and an EFI firmware to start it once (BootNext), as such a firmware counts no starts."""
    config = read_configuration(root)
    if config is None:
        raise NotApplicable("RAUC has no system.conf")
    kind = config.file.value("system", "bootloader")
    if kind in ("", "noop"):
        what = "RAUC tells no boot loader of a new slot, so that none goes back from one that does not start"
        place, remedy = at(root, config.path, config.line("system", "bootloader")), "Set bootloader in [system] to the one of the machine."
        note.finding(what, at=place, remedy=remedy)
    elif kind == "efi" and not config.file.boolean("system", "efi-use-bootnext", default=True):
        what = "a new slot is put in front before it has started once, and the firmware does not go back: efi-use-bootnext is off"
        place = at(root, config.path, config.line("system", "efi-use-bootnext"))
        note.finding(what, at=place, remedy="Take efi-use-bootnext out of [system]; waive it where the firmware itself changes slots.")
    note.saw(f"{config.path}: bootloader {kind or '-'}")


@check("RAUC-06", on=Scope.ROOT)
def everest_marks_a_slot_good_only_after_the_health_check(root: Root, policy: Parameters, note: Notes) -> None:
    """Each module that talks to RAUC names a health check; without one it marks the slot good as soon as it runs."""
    config = configuration(root, note)
    if config is None:
        return
    modules = [module for module in config.modules if module.type == MODULE]
    for module in modules:
        path = str(module.config.get(HEALTH) or "")
        if not path:
            what = f"the module '{module.id}' marks a slot good without a health check: {HEALTH} is not set"
            remedy = f"Set {HEALTH} to /usr/libexec/everest-secure/everest-health-check."
            note.finding(what, at=at(root, config.path, module.line), remedy=remedy)
        else:
            _is_program(root, path, f"{HEALTH} of the module '{module.id}',", note)
    note.saw(f"{config.path}: {len(modules)} modules {MODULE}")


@check("RAUC-07", on=Scope.ROOT)
def every_component_has_a_slot(root: Root, policy: Parameters, note: Notes) -> None:
    """Each component of the policy is a class of slots that RAUC writes, or a repository of artifacts."""
    if not policy.update_components:
        raise NotApplicable("the policy lists no component besides root and boot chain ('update_components')")
    config = present_configuration(root, note)
    if config is None:
        return
    for component in policy.update_components:
        if component not in config.written:
            what = f"there is no slot for '{component}', which the policy lists as a component to update"
            note.finding(what, at=at(root, config.path), remedy=f"Add [slot.{component}.0]; EVEREST_MCU_UPDATE_HANDLER adds that of 'mcu'.")
    note.saw(f"{config.path}: slot classes {words(config.written)}")


_NONE_DECLARED = "neither the policy's 'update_components' nor system.conf names a component besides root and boot chain"


@check("RAUC-07", on=Scope.BUNDLE)
def every_component_has_an_image_in_the_bundle(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """Each component of the policy and of the device's system.conf comes with the bundle, and something installs it."""
    manifest, place = manifest_of(bundle), Location(bundle.artefact.name)
    configs = [rauc_configuration(root) for root in devices(bundle)]
    wanted = {*policy.update_components, *(name for config in configs for name in _components(config))}
    if not wanted:
        raise NotApplicable(_NONE_DECLARED)
    for component in sorted(wanted):
        image = next((keys for name, keys in manifest.images.items() if slot_class(name) == component), None)
        if image is None:
            what = f"the bundle has no image for '{component}'"
            note.finding(what, at=place, remedy="Add its image; EVEREST_MCU_IMAGE adds that of 'mcu', RAUC_BUNDLE_SLOTS any other.")
            continue
        if "install" in _words(image.get("hooks", "")):
            _hook_is_program(bundle, manifest.sections.get("hooks", {}).get("filename", ""), note)
        elif any(slot.device == _NO_DEVICE for config in configs for slot in config.slots if slot.slot_class == component):
            what = f"nothing installs the image for '{component}': its slot has no device and the image no hook 'install'"
            note.finding(what, at=place, remedy=f"Set RAUC_SLOT_{component}[hooks] to install.")
        note.saw(f"manifest: image.{component} {image.get('filename', '')}")


def _components(config: RaucConfig) -> Iterator[str]:
    """Yield the classes of slots that RAUC writes and that are neither booted nor belong to a slot that is."""
    booted = {slot.slot_class for slot in config.slots if slot.bootname}
    yield from (slot.slot_class for slot in config.slots if slot.slot_class not in booted and not (slot.parent or slot.readonly))


@check("RAUC-08", on=Scope.ROOT)
def device_decrypts_bundles_with_a_key_in_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """A device that asks for encrypted bundles has a key for them, in hardware; one that does not leaves the decision to be recorded."""
    config = present_configuration(root, note)
    if config is None:
        return
    formats = config.file.value("system", "bundle-formats").split()
    key = config.file.value("encryption", "key")
    if "crypt" not in formats and not key:
        raise NotApplicable("the device is not made for encrypted bundles")
    place = at(root, config.path, config.line("encryption", "key"))
    unit = units_of(root.tree).unit("rauc.service")
    providers, conf = providers_of(root.tree, unit)
    if not key or not config.file.value("encryption", "cert"):
        what = "encrypted bundles are accepted, and [encryption] names no key and certificate to decrypt them with"
        note.finding(what, at=place, remedy="Set EVEREST_CRYPT_BUNDLE to 1, which names both.")
    elif not key.startswith("pkcs11:") and not providers & KEY_PROVIDERS:
        what = f"bundles are decrypted with {key}, which no provider of {conf} keeps in the TPM"
        note.finding(what, at=place, remedy="Install everest-update-decryption.")
    if "crypt" not in config.bundle_formats:
        what = "the device has a key for encrypted bundles and refuses them: bundle-formats lacks crypt"
        note.finding(what, at=at(root, config.path, config.line("system", "bundle-formats")), remedy="Add crypt to bundle-formats.")
    note.saw(f"{config.path}: crypt bundles with the key {key or '-'}, providers {words(providers)}")


@check("RAUC-08", on=Scope.BUNDLE)
def bundle_is_encrypted_where_devices_ask_for_it(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The bundle is one of RAUC's format `crypt`, or a decision not to encrypt has to be on record."""
    form = facts_of(bundle).format
    if form != "crypt":
        raise NotApplicable(f"the bundle has the format {form} and is not encrypted")
    note.saw(f"{bundle.artefact.name}: format crypt")
