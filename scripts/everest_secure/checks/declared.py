"""The kinds of checks that a policy file may declare; they run beside the registered ones."""

from collections.abc import Callable, Iterable
from functools import singledispatch

from everest_secure.checks.common import at, configuration, findings_up_to, started, units_of
from everest_secure.checks.core import Check, Location, Notes, Root, Scope
from everest_secure.checks.installed import installed, package_evidence, place_of_package
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import printable
from everest_secure.parse.accounts import read_accounts
from everest_secure.parse.kernel_configs import kernel_configs
from everest_secure.parse.packages import Package
from everest_secure.parse.patterns import matches
from everest_secure.parse.versions import satisfies
from everest_secure.policy.declared import Condition, Declared, EverestIs, FileIs, KernelIs, NoFile, NoPackage, PackageIs, TextIs, UnitIs
from everest_secure.policy.parameters import Parameters

MAX_LINE = 4096
"""Characters of a line that an expression is looked for in."""


def declared_checks(declared: Iterable[Declared]) -> tuple[Check, ...]:
    """Return a check for each condition of each declared requirement."""
    return tuple(
        Check(entry.requirement.id, Scope.ROOT, _check(condition, entry.requirement.remedy), str(condition))
        for entry in declared
        for condition in entry.conditions
    )


def _check(condition: Condition, remedy: str) -> Callable[[Root, Parameters, Notes], None]:
    def run(root: Root, policy: Parameters, note: Notes) -> None:
        _judge(condition, root, remedy, note)

    return run


@singledispatch
def _judge(condition: Condition, root: Root, remedy: str, note: Notes) -> None:
    raise TypeError(f"nobody judges '{condition}'")


@_judge.register
def _file(condition: FileIs, root: Root, remedy: str, note: Notes) -> None:
    node = root.tree.resolve(condition.path)
    if node is None:
        note.finding(f"{condition.path} does not exist", at=at(root, condition.path), remedy=remedy)
        return
    if condition.mode is not None and node.mode != condition.mode:
        what = f"{condition.path} has the mode {node.mode:04o} instead of {condition.mode:04o}"
        note.finding(what, at=at(root, node.path), remedy=remedy)
    accounts = read_accounts(root.tree)
    users = {user.uid: user.name for user in accounts.users}
    groups = {group.gid: group.name for group in accounts.groups}
    for kind, wanted, number, names in (("owner", condition.owner, node.uid, users), ("group", condition.group, node.gid, groups)):
        if wanted and wanted not in (str(number), names.get(number)):
            what = f"{condition.path} has the {kind} {names.get(number, number)} instead of {wanted}"
            note.finding(what, at=at(root, node.path), remedy=remedy)
    note.saw(f"{node.path}: mode {node.mode:04o}, {node.uid}:{node.gid}")


@_judge.register
def _no_file(condition: NoFile, root: Root, remedy: str, note: Notes) -> None:
    nodes = root.tree.nodes()
    found = [(f"{printable(node.path)} exists", at(root, node.path)) for node in nodes if matches(node.path, (condition.path,))]
    findings_up_to(note, found, remedy=remedy)
    note.saw(f"names of {len(nodes)} files and directories")


def _packages(root: Root) -> tuple[Package, ...]:
    """Return the installed packages; raises ArtefactError for an image without a list, of which nothing can be said."""
    packages = installed(root)
    if packages is None:
        raise ArtefactError(
            f"{root.artefact.name} has no list of packages, in it or beside it; keep IMAGE.manifest, or ask for a file of the package"
        )
    return packages


@_judge.register
def _package(condition: PackageIs, root: Root, remedy: str, note: Notes) -> None:
    found = [package for package in _packages(root) if package.name == condition.name]
    if not found:
        note.finding(f"the package {condition.name} is not installed", at=at(root), remedy=remedy)
    for package in found:
        if condition.relation and not satisfies(package.version, condition.relation, condition.version):
            what = f"the package {package.name} has the version {package.version}, not {condition.relation} {condition.version}"
            note.finding(what, at=place_of_package(root, package), remedy=remedy)
        note.saw(f"{package.path}:{package.line}: {package.name} {package.version}")


@_judge.register
def _no_package(condition: NoPackage, root: Root, remedy: str, note: Notes) -> None:
    for package in _packages(root):
        if matches(package.name, (condition.name,)):
            what = f"the package {package.name} {package.version} is installed"
            note.finding(what, at=place_of_package(root, package), remedy=remedy)
    note.saw(package_evidence(root))


@_judge.register
def _unit(condition: UnitIs, root: Root, remedy: str, note: Notes) -> None:
    unit, start = units_of(root.tree).unit(condition.name), started(root).get(units_of(root.tree).real_name(condition.name))
    state = "masked" if unit.masked else "absent" if not unit.exists else "enabled" if start else "disabled"
    if state == condition.state:
        note.saw(f"{unit.path or condition.name}: {state}")
    else:
        why = f": {start.reason}" if start else ""
        what = f"{condition.name} is {state} instead of {condition.state}{why}"
        note.finding(what, at=at(root, start.path if start else unit.path), remedy=remedy)


@_judge.register
def _kernel(condition: KernelIs, root: Root, remedy: str, note: Notes) -> None:
    configs = kernel_configs(root.artefact, root.tree, root.container)
    if not configs:
        raise ArtefactError(f"{root.artefact.name} does not say how its kernel was configured; install /usr/lib/modules/VERSION/config")
    for config in configs:
        value = config.value(condition.option)
        place = Location(config.artefact, printable(config.path))
        if value != condition.value:
            note.finding(f"CONFIG_{condition.option} is {value} instead of {condition.value}", at=place, remedy=remedy)
        note.saw(f"{place}: CONFIG_{condition.option} is {value}")


@_judge.register
def _everest(condition: EverestIs, root: Root, remedy: str, note: Notes) -> None:
    config = configuration(root, note)
    if config is None:
        return
    if not condition.module:
        places = [("settings", config.setting(condition.key), config.line(condition.key))]
    else:
        modules = [module for module in config.modules if condition.module in (module.id, module.type)]
        places = [(f"the module '{module.id}'", module.value(condition.key), config.line_of(module, condition.key)) for module in modules]
    if not places:
        note.finding(f"there is no module '{condition.module}'", at=at(root, config.path), remedy=remedy)
    for name, value, line in places:
        if value != condition.value or type(value) is not type(condition.value):
            what = f"{name} has {condition.key}: {value} instead of {condition.value}"
            note.finding(what, at=at(root, config.path, line), remedy=remedy)
        note.saw(f"{config.path}:{line}: {condition.key}: {value}")


@_judge.register
def _text(condition: TextIs, root: Root, remedy: str, note: Notes) -> None:
    if root.tree.resolve(condition.path) is None:
        note.finding(f"{condition.path} does not exist", at=at(root, condition.path), remedy=remedy)
        return
    lines = root.tree.text(condition.path).split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise ArtefactError(f"{root.artefact.name}: {condition.path}:{number} is longer than {MAX_LINE} characters; it is no text file")
    found = [number for number, line in enumerate(lines, start=1) if condition.expression.search(line)]
    wanted = f"'{condition.expression.pattern}'"
    if condition.wanted and not found:
        note.finding(f"no line of {condition.path} has {wanted}", at=at(root, condition.path), remedy=remedy)
    if not condition.wanted:
        have = [(f"a line of {condition.path} has {wanted}", at(root, condition.path, number)) for number in found]
        findings_up_to(note, have, remedy=remedy)
    note.saw(f"{condition.path}: {len(lines)} lines, {len(found)} with {wanted}")
