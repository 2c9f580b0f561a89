"""What somebody at the console can do before the kernel starts: BOOT-02."""

from collections.abc import Callable, Iterator, Mapping

from everest_secure.checks.core import Boot, Bundle, Location, NotApplicable, Notes, Scope, check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.blob import Blob
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.fit import Fit
from everest_secure.image.gpt import PartitionTable
from everest_secure.image.mbr import MbrTable
from everest_secure.image.pe import EfiProgram
from everest_secure.image.tree import Tree, printable
from everest_secure.image.uki import Uki
from everest_secure.parse import loaders
from everest_secure.parse.loaders import Setting
from everest_secure.policy.parameters import Parameters

Judge = Callable[[str], list[Setting]]

_FILES: tuple[tuple[tuple[str, ...], Judge], ...] = (
    (
        ("/grub/grub.cfg", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/EFI/BOOT/grub.cfg", "/EFI/debian/grub.cfg"),
        loaders.grub_settings,
    ),
    (("/extlinux/extlinux.conf", "/boot/extlinux/extlinux.conf"), loaders.extlinux_settings),
)
_INITIAL = ("/etc/u-boot-initial-env", "/usr/share/u-boot/u-boot-initial-env")
"""U-Boot's compiled environment as text; its recipe installs it for fw_setenv."""
_SAVED = ("/uboot.env", "/uboot-redund.env")
_LABEL = "uboot-env"
_RAW = 16 * 1024 * 1024
"""Bytes in front of the first partition, where boards have U-Boot without a partition."""
_QUIET = "Build U-Boot with CONFIG_BOOTDELAY=-2 (everest-secure.cfg), and let it take no other from its environment."


@check("BOOT-02", on=Scope.BOOT)
def the_boot_loader_has_no_menu_editor_or_console(boot: Boot, policy: Parameters, note: Notes) -> None:
    """Firmware starts UKIs itself, or the loader in between neither waits for a key nor lets the command line be changed."""
    fits, _, seen_u_boot = _judge(boot.container, note)
    if fits and not seen_u_boot:
        raise ArtefactError(
            f"{boot.container.name} starts a FIT and holds no U-Boot in which its boot delay can be read; "
            f"put U-Boot on the disk, or its environment into the image as {_INITIAL[0]}"
        )


@check("BOOT-02", on=Scope.BUNDLE)
def the_boot_loader_of_a_bundle_has_no_menu_editor_or_console(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same of the boot loaders that a bundle installs; a FIT may be started by the U-Boot that is there."""
    _, others, seen_u_boot = _judge(bundle.artefact, note)
    if not others and not seen_u_boot:
        raise NotApplicable("the bundle brings no boot loader, and no UKI that firmware starts")


def _judge(container: Artefact, note: Notes) -> tuple[int, int, bool]:
    """Judge all loaders; returns how many FITs there are, how many UKIs and loaders of EFI, and whether there is a U-Boot."""
    programs = fits = menus = 0
    seen_u_boot = seen_grub = False
    grub = [part.name for part in container.walk() if isinstance(part.facts, EfiProgram) and loaders.is_grub(part.facts)]
    for artefact in container.walk():
        if isinstance(artefact.facts, Uki):
            programs += 1
        elif isinstance(artefact.facts, Fit):
            fits += 1
        if artefact.tree is not None and artefact.kind != INITRAMFS:
            judged = _judge_files(artefact, artefact.tree, note)
            seen_grub |= loaders.grub_settings in judged
            menus += len(judged)
            seen_u_boot |= _judge_initial_environment(artefact, artefact.tree, note)
        if isinstance(artefact.facts, EfiProgram) and loaders.is_systemd_boot(artefact.facts):
            _judge_systemd_boot(container, artefact, note)
            menus += 1
    for name, blob in _where_u_boot_may_be(container):
        seen_u_boot |= _judge_u_boot(name, blob, note)
    _judge_saved(container, note)
    if grub and not seen_grub:
        raise ArtefactError(f"{grub[0]} is GRUB, and no grub.cfg was found; boot a UKI without it, or put its configuration on the disk")
    if programs:
        note.saw(f"{programs} unified kernel images, which firmware starts without menu or editor")
    return fits, programs + menus, seen_u_boot


def _judge_files(artefact: Artefact, tree: Tree, note: Notes) -> list[Judge]:
    """Judge the menus of a file system; returns for which loaders there was one."""
    judged = []
    for paths, settings in _FILES:
        for path in paths:
            file = tree.resolve(path)
            if file is None or not file.is_file:
                continue
            for setting in settings(tree.text(path)):
                note.finding(setting.what, at=Location(artefact.name, path, setting.line), remedy=setting.remedy)
            note.saw(f"{artefact.name}: {path}")
            judged.append(settings)
    return judged


def _judge_systemd_boot(container: Artefact, program: Artefact, note: Notes) -> None:
    """Hold systemd-boot to the loader.conf of the partition that it lies on."""
    home = next(
        (part for part in container.walk() if part.tree is not None and any(child is program for child in part.children)), container
    )
    path = loaders.LOADER_CONF
    file = home.tree.resolve(path) if home.tree else None
    text = home.tree.text(path) if home.tree and file is not None and file.is_file else ""
    for setting in loaders.systemd_boot_settings(text):
        note.finding(setting.what, at=Location(home.name, path, setting.line), remedy=setting.remedy)
    note.saw(f"{program.name}: systemd-boot with {path}")


def _judge_initial_environment(artefact: Artefact, tree: Tree, note: Notes) -> bool:
    path = next((path for path in _INITIAL if (file := tree.resolve(path)) is not None and file.is_file), None)
    if path is None:
        return False
    lines = dict(line.partition("=")[::2] for line in tree.text(path).split("\n"))
    _judge_delay(lines.get("bootdelay", ""), Location(artefact.name, path), note)
    return True


def _where_u_boot_may_be(container: Artefact) -> Iterator[tuple[str, Blob]]:
    for artefact in container.walk():
        if artefact.kind == "vfat" and artefact.tree is not None:
            yield from (
                (f"{artefact.name}:{printable(node.path)}", artefact.tree.blob(node)) for node in artefact.tree.nodes() if node.is_file
            )
        elif artefact.kind in ("unknown", "firmware", "standalone") and artefact.blob is not None:
            yield artefact.name, artefact.blob
    table = container.facts
    if isinstance(table, PartitionTable | MbrTable) and container.blob is not None:
        first = min((partition.offset for partition in table.partitions), default=0)
        yield f"{container.name} (in front of the partitions)", container.blob.slice(0, min(first, _RAW), container.name)


def _judge_u_boot(name: str, blob: Blob, note: Notes) -> bool:
    """Judge a U-Boot; returns whether the bytes are one that has an environment, as its first stage has none."""
    delays = loaders.u_boot_delays(blob)
    for delay in delays or ():
        _judge_delay(delay, Location(name), note)
    return bool(delays)


def _judge_saved(container: Artefact, note: Notes) -> None:
    """Look at environments that were saved on the disk; an empty one says nothing."""
    for place, variables in saved_environments(container):
        if "bootdelay" in variables:
            _judge_delay(variables["bootdelay"], place, note)


def saved_environments(container: Artefact) -> Iterator[tuple[Location, Mapping[str, str]]]:
    """Yield the environments of U-Boot that were saved on a disk: in a partition of their own or in a file, one or two copies each."""
    for artefact in container.walk():
        found: list[tuple[Location, Blob]] = []
        if artefact.name.endswith(f":{_LABEL}") and artefact.blob is not None:
            found.append((Location(artefact.name), artefact.blob))
        if artefact.kind == "vfat" and artefact.tree is not None:
            nodes = ((path, artefact.tree.resolve(path)) for path in _SAVED)
            found += [
                (Location(artefact.name, path), artefact.tree.blob(node)) for path, node in nodes if node is not None and node.is_file
            ]
        yield from ((place, variables) for place, blob in found for variables in loaders.u_boot_environments(blob))


def _judge_delay(delay: str, place: Location, note: Notes) -> None:
    if delay == loaders.AT_ONCE:
        note.saw(f"{place}: bootdelay={delay}")
    else:
        what = (
            f"U-Boot waits for a key (bootdelay={delay})"
            if delay
            else "U-Boot has its default boot delay, in which a key opens its console"
        )
        note.finding(what, at=place, remedy=_QUIET)
