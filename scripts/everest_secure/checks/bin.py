"""What does not belong into a product: BIN-02."""

import json

from everest_secure.checks.common import at, configuration, findings_up_to, service
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.installed import forbidden, package_evidence
from everest_secure.checks.stand_in import MARK
from everest_secure.errors import ArtefactError
from everest_secure.parse.commands import program
from everest_secure.parse.everest_manifests import MODULES
from everest_secure.parse.patterns import matches
from everest_secure.policy.parameters import Parameters


@check("BIN-02", on=Scope.ROOT)
def stand_ins_are_only_where_the_profile_allows_them(root: Root, policy: Parameters, note: Notes) -> None:
    """The mark of a reference or prebuilt image is absent and the manager is a compiled program, unless the profile is for such images."""
    for path in {command[0] for command in service(root).commands if program(command) == "manager"} if not policy.stand_ins else ():
        node = root.tree.resolve(path)
        if node is not None and node.is_file and root.tree.blob(node).head(4) != b"\x7fELF":
            what = f"{path} is no compiled program, as EVerest's manager is"
            note.finding(what, at=at(root, path), remedy="Ship an image built in full with kas; a stand-in is never a product.")
    if root.tree.resolve(MARK) is None:
        note.saw(f"{MARK} is absent")
        return
    try:
        json.loads(root.tree.text(MARK))
    except ValueError:
        raise ArtefactError(f"{root.artefact.name}: {MARK} is no JSON; build the image again") from None
    if policy.stand_ins:
        note.saw(f"{MARK} marks a reference image, which this profile allows")
    else:
        what = "the image says that it holds stand-ins for EVerest's programs"
        note.finding(what, at=at(root, MARK), remedy="Ship an image built in full with kas; a reference image is never a product.")


@check("BIN-02", on=Scope.ROOT)
def no_development_tools_are_installed(root: Root, policy: Parameters, note: Notes) -> None:
    """No compiler, debugger or sniffer of the policy's list."""
    for what, where in forbidden(root, policy.forbidden_packages, policy.forbidden_files, "BIN-02"):
        note.finding(what, at=where, remedy="Leave the package out of the image.")
    note.saw(package_evidence(root))


@check("BIN-02", on=Scope.ROOT)
def no_simulator_or_sample_configuration_is_there(root: Root, policy: Parameters, note: Notes) -> None:
    """Neither configured nor installed modules are simulators, dummies or sniffers, and no sample configuration lies beside the product's."""
    config = configuration(root, note)
    if config is None:
        return
    for module in config.modules:
        if matches(module.type, policy.forbidden_modules):
            what = f"the module '{module.id}' is a {module.type}, which is not for products"
            note.finding(what, at=at(root, config.path, module.line), remedy="Configure the module that does the real work.")
    installed = root.tree.children(str(config.setting("modules_dir") or MODULES))
    found = [
        (f"the module {node.name} is installed", at(root, node.path)) for node in installed if matches(node.name, policy.forbidden_modules)
    ]
    findings_up_to(note, found, remedy="Name the modules to build with EVEREST_INCLUDE_MODULES.")
    samples = [node for node in root.tree.children("/etc/everest") if matches(node.name, ("config-*.yaml", "config-*.yml"))]
    findings_up_to(
        note,
        [(f"{node.path} is a sample configuration", at(root, node.path)) for node in samples],
        remedy="Remove EVerest's sample configurations in the recipe.",
    )
    note.saw(f"{config.path}: {len(config.modules)} modules configured, {len(installed)} installed")
