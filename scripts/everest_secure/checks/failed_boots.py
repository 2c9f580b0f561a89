"""A boot that fails starts again, before the root is mounted and after it: BOOT-05."""

from everest_secure.checks.common import at, units_of
from everest_secure.checks.core import Boot, Bundle, Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.image.artefact import Artefact
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.tree import Tree
from everest_secure.parse.units import Units
from everest_secure.policy.parameters import Parameters

_TARGET = "emergency.target"
"""What systemd starts when a mount or device that a boot needs fails: OnFailure= of local-fs.target and of the initrd's targets (bootup(7))."""
_REBOOTS = ("reboot.target", "systemd-reboot.service")
_RESTARTS = ("reboot", "reboot-force", "reboot-immediate")
"""Values of SuccessAction= (systemd.unit(5)) after which firmware or boot loader choose anew.

FailureAction= alone does nothing after a service that ends well, and what a target says of itself nothing at all, since a target that runs does not end.
"""
_SYSTEMD = "/usr/lib/systemd/systemd"
_REMEDY = "Ship an emergency.target as a file in /etc/systemd/system, which requires a service with SuccessAction=reboot-force (everest-watchdog)."


@check("BOOT-05", on=Scope.ROOT)
def a_boot_that_fails_starts_again(root: Root, policy: Parameters, note: Notes) -> None:
    """Systemd's emergency.target ends in a restart, not at a shell, and not in a unit that cannot start."""
    _judge(root.tree, at(root), note)


@check("BOOT-05", on=Scope.BOOT)
def a_boot_that_fails_in_the_initial_ram_disk_starts_again(boot: Boot, policy: Parameters, note: Notes) -> None:
    """The same holds in each initial RAM disk of systemd: a root that is missing or refused must not leave the machine standing."""
    _judge_ram_disks(boot.container, note)


@check("BOOT-05", on=Scope.BUNDLE)
def an_update_that_fails_in_its_initial_ram_disk_starts_again(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same holds for those that a bundle brings: an update that cannot mount its root would not fall back to the old slot."""
    _judge_ram_disks(bundle.artefact, note)


def _judge_ram_disks(container: Artefact, note: Notes) -> None:
    judged: list[Artefact] = []
    for artefact in container.walk():
        tree = artefact.tree
        if artefact.kind == INITRAMFS and tree is not None and tree.resolve(_SYSTEMD) and not any(map(artefact.same_content, judged)):
            judged.append(artefact)
            _judge(tree, Location(artefact.name), note)
    if not judged:
        raise NotApplicable(f"{container.name} has no initial RAM disk with systemd")


def _judge(tree: Tree, place: Location, note: Notes) -> None:
    units = units_of(tree)
    path = units.unit(_TARGET).path
    stands = _what_it_stands_at(units)
    if stands:
        note.finding(f"a boot that fails does not start again: {stands}", at=Location(place.artefact, path), remedy=_REMEDY)
    else:
        note.saw(f"{place.artefact}:{path} restarts")


def _what_it_stands_at(units: Units) -> str:
    """Return what keeps a failed boot from starting again; empty when it does."""
    target = units.unit(_TARGET)
    if not target.exists:
        return f"{_TARGET} is {'masked' if target.masked else 'missing'}"
    required = {*target.words("Unit", "Requires"), *target.words("Unit", "BindsTo")}
    started = {*required, *target.words("Unit", "Wants"), *(name for name, _ in units.links(_TARGET))}
    for name in sorted(required):
        unit = units.unit(name)
        if not unit.exists:
            # manager_add_job() of systemd refuses a job whose requirement cannot be loaded, and OnFailure= is then passed over.
            return f"{_TARGET} requires {name}, which is {'masked' if unit.masked else 'missing'}"
    if units.real_name(_TARGET) not in _REBOOTS and not any(_restarts(units, name) for name in started):
        return f"{_TARGET} starts {', '.join(sorted(started)) or 'nothing'}, and waits for somebody at the console"
    return ""


def _restarts(units: Units, name: str) -> bool:
    unit = units.unit(name)
    return unit.exists and (units.real_name(name) in _REBOOTS or unit.value("Unit", "SuccessAction") in _RESTARTS)
