"""How programs and shared objects are built: BIN-01."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname, join, normpath

from everest_secure.checks.common import at, findings_up_to
from everest_secure.checks.core import Location, Notes, Root, Scope, check
from everest_secure.checks.steady import hidden_by
from everest_secure.checks.survey import File
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Node, printable
from everest_secure.parse import elf_hardening as built
from everest_secure.parse.elf import Elf, read_elf
from everest_secure.parse.globbing import MAX_PATHS, globbed
from everest_secure.parse.patterns import matches
from everest_secure.policy.parameters import ElfFault, Parameters

_PRELOAD = "/etc/ld.so.preload"
_REMEDIES: Mapping[ElfFault, str] = {
    "pie": "Build it with -fPIE -pie (OE-Core: GCCPIE), or name it under 'elf_exceptions' with the reason.",
    "relro": "Link it with -Wl,-z,relro,-z,now (security_flags.inc), or name it under 'elf_exceptions' with the reason.",
    "nx": "Mark its assembler sources with .note.GNU-stack, and link it with -z noexecstack.",
    "stack-protector": "Build it with -fstack-protector-strong (security_flags.inc), or name it under 'elf_exceptions' with the reason.",
    "fortify": "Build it with -O2 -D_FORTIFY_SOURCE=2 (security_flags.inc), or name it under 'elf_exceptions' with the reason.",
    "rpath": "Build without RPATH (chrpath.bbclass removes those of the build), or name a directory that is root's alone.",
}
"""What a file can lack, by the word that 'elf_exceptions' has for it."""


@dataclass(frozen=True, slots=True)
class _Program:
    """A program or shared object, and what it lacks."""

    path: str
    silent: bool
    """Whether it does not show if it has a stack protector."""
    lacks: tuple[tuple[ElfFault, str], ...]


def _look(root: Root, policy: Parameters, file: File) -> Iterator[_Program]:
    """Look at what can be run or loaded."""
    if file.node.mode & 0o111 or ".so" in file.node.name:
        elf = read_elf(file.blob, file.first)
        if elf is not None and elf.loadable:
            protected = built.stack_protector(elf, code=policy.elf_protected_code)
            yield _Program(file.node.path, protected is None, tuple(_lacks(root, file.node, elf, protected=protected)))


@check("BIN-01", on=Scope.ROOT, survey=_look)
def every_program_is_built_with_hardening(root: Root, policy: Parameters, note: Notes, programs: Sequence[_Program]) -> None:
    """Position independent, full RELRO, no executable data, stack protector, fortified functions, search paths that only root can fill."""
    found: dict[ElfFault, list[tuple[str, Location]]] = {kind: [] for kind in _REMEDIES}
    excepted: Counter[str] = Counter()
    if not programs:
        raise ArtefactError(f"{root.artefact.name} holds no ELF program at all; give the image of the whole system")
    for program in sorted(programs, key=lambda each: each.path):
        for kind, what in program.lacks:
            exception = next((each for each in policy.elf_exceptions if kind in each.lacks and matches(program.path, each.paths)), None)
            if exception:
                excepted[exception.reason] += 1
            else:
                found[kind].append((f"{printable(program.path)} {what}", at(root, program.path)))
    for what, where in _loader_faults(root):
        note.finding(what, at=where, remedy="Leave to the loader only what root alone can change.")
    for kind, remedy in _REMEDIES.items():
        findings_up_to(note, found[kind], remedy=remedy)
    silent = sum(program.silent for program in programs)
    note.saw(f"{len(programs)} programs and shared objects; {silent} are too small or too bare to show whether they have a stack protector")
    for reason, number in excepted.items():
        note.saw(f"{number} excepted: {reason}")


def _lacks(root: Root, node: Node, elf: Elf, *, protected: bool | None) -> Iterator[tuple[ElfFault, str]]:
    if not built.position_independent(elf):
        yield "pie", "is loaded at a fixed address" if built.is_program(elf) else "changes its code when it is loaded (text relocations)"
    if not built.full_relro(elf):
        yield "relro", "keeps its table of functions writable (no full RELRO)"
    if not built.data_is_never_code(elf):
        yield "nx", "asks for memory that is both written and executed"
    if protected is False:
        yield "stack-protector", "does not check its stack frames"
    if built.fortified(elf) is False:
        yield "fortify", "calls the C library without checks of buffers"
    for directory in dict.fromkeys(elf.run_paths):
        fault = _search_fault(root, node, directory)
        if fault:
            yield "rpath", f"searches libraries in '{printable(directory)}', {fault}"


def _loader_faults(root: Root) -> Iterator[tuple[str, Location]]:
    """Yield what the loader takes for every program from where the image does not decide or others than root can write (ld.so(8), ldconfig(8))."""
    parts = [node.path for node in root.tree.children("/etc/ld.so.conf.d") if node.name.endswith(".conf")]
    todo, seen = [_PRELOAD, "/etc/ld.so.conf", *parts], set[str]()
    while todo and len(seen) < MAX_PATHS:
        file = todo.pop(0)
        node = root.tree.resolve(file) if file not in seen else None
        seen.add(file)
        lines = root.tree.text(file).split("\n") if node is not None and node.is_file else []
        for number, line in enumerate(lines, start=1):
            words = line.partition("#")[0].split()
            if words[:1] == ["include"]:
                todo += [path for word in words[1:] for path in globbed(root.tree, join(dirname(file), word))]
                continue
            for path in (word for word in words if word.startswith("/")):
                found = root.tree.resolve(path)
                mount = hidden_by(root, path)
                if mount or (
                    found is not None and any((real := root.tree.resolve(up)) and (real.uid or real.mode & 0o022) for up in _upwards(path))
                ):
                    why = f"which lies below {mount}" if mount else "which others than root can change"
                    yield (
                        f"every program loads {'' if file == _PRELOAD else 'libraries from '}{printable(path)}, {why}",
                        at(root, file, number),
                    )


def _search_fault(root: Root, node: Node, directory: str) -> str:
    """Say why a directory of DT_RPATH or DT_RUNPATH is no place for libraries; empty when it is one (ld.so(8), "Rpath token expansion")."""
    path = directory
    for token in ("$ORIGIN", "${ORIGIN}"):
        if path.startswith(token):
            path = dirname(node.path) + path.removeprefix(token)
    path = path.partition("$")[0]
    if not path.startswith("/"):
        return "which is relative to wherever it is started"
    path = normpath(path)
    if root.tree.resolve(path) is None:
        return "which the image does not have: a path of the build machine, or whatever comes to lie there"
    mount = hidden_by(root, path)
    if mount:
        return f"which lies below {mount}, where the image does not decide what is there"
    writable = next((place for place in _upwards(path) if (real := root.tree.resolve(place)) and (real.uid or real.mode & 0o022)), "")
    return f"and others than root can write to {printable(writable)}" if writable else ""


def _upwards(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = dirname(path)
    yield path
