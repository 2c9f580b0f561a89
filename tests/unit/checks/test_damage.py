"""A root file system that cannot be read wholly, or holds files that are damaged: never a pass of a requirement that depends on it, never a breakdown."""

import random
from collections.abc import Callable, Iterator
from functools import cache
from posixpath import dirname, splitext

import pytest

from everest_secure import checks
from everest_secure.checks.core import Check, CheckResult, Outcome, Root, Scope, registered, run_check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.tree import Node
from support.rootfs import MemoryTree, RootFs, good_root, hawkbit, mqtt_api, production

checks.load()
CHECKS = [entry for entry in registered() if entry.scope is Scope.ROOT]
Nodes = dict[str, tuple[Node, bytes]]


class FaultyTree(MemoryTree):
    """A tree in which some files cannot be read; it knows what was asked for."""

    def __init__(self, nodes: Nodes, unreadable: frozenset[str] = frozenset()) -> None:
        super().__init__(nodes)
        self._unreadable = unreadable
        self.asked: set[str] = set()

    def _scan(self) -> Iterator[tuple[Node, object]]:
        yield from ((node, path) for path, (node, _) in self._given.items())

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        path = str(handle)
        self.asked.add(path)
        if path in self._unreadable:
            raise ArtefactError(f"rootfs: {path} is corrupt; build it again")
        return self._given[path][1][offset : offset + length]


@cache
def whole() -> Nodes:
    return hawkbit(mqtt_api(good_root())).nodes


def run(entry: Check, tree: MemoryTree) -> CheckResult:
    artefact = Artefact("rootfs", "squashfs", tree=tree)
    return run_check(entry, Root(artefact, tree, artefact), "rootfs", production())


@cache
def files_of(entry: Check) -> tuple[str, ...]:
    """The files that a check reads of the good root: one of each directory and suffix, as those are read alike."""
    tree = FaultyTree(whole())
    run(entry, tree)
    alike = {(dirname(path), splitext(path)[1]): path for path in sorted(tree.asked)}
    return tuple(alike.values())


@pytest.mark.parametrize("entry", CHECKS, ids=lambda entry: f"{entry.requirement}-{entry.function.__name__}")
def test_a_check_that_cannot_read_what_it_asks_for_is_an_error(entry: Check) -> None:
    for path in files_of(entry):
        tree = FaultyTree(whole(), frozenset([path]))
        result = run(entry, tree)
        assert path in tree.asked
        assert result.outcome is Outcome.ERROR, f"{path} cannot be read, and the outcome is {result.outcome}"
        assert path in result.reason


class _Unscannable(MemoryTree):
    def _scan(self) -> Iterator[tuple[Node, object]]:
        for number, found in enumerate(self._given.values()):
            if number == 50:
                raise ArtefactError("rootfs: a directory is corrupt; build it again")
            yield found


@pytest.mark.parametrize("entry", CHECKS, ids=lambda entry: f"{entry.requirement}-{entry.function.__name__}")
def test_a_file_system_with_a_damaged_directory_or_inode_passes_nothing(entry: Check) -> None:
    result = run(entry, _Unscannable(whole()))
    decided_by_the_policy_alone = result.outcome is Outcome.NOT_APPLICABLE and result.reason.startswith("the policy ")
    assert result.outcome in (Outcome.ERROR, Outcome.FAIL) or decided_by_the_policy_alone


def cut(content: bytes, chance: random.Random) -> bytes:
    """Truncate at a power of two."""
    return content[: 1 << chance.randrange(max(len(content).bit_length(), 1))]


def flip(content: bytes, chance: random.Random) -> bytes:
    """Flip bits."""
    raw = bytearray(content)
    for _ in range(chance.choice((1, 4, 16)) if raw else 0):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("round_", range(8))
def test_damaged_files_break_no_check_down(damage: Callable[[bytes, random.Random], bytes], round_: int) -> None:
    chance = random.Random(f"{damage.__name__} {round_}")
    nodes = dict(whole())
    for path, (node, content) in whole().items():
        if node.is_file and chance.random() < 0.2:
            new = damage(content, chance)
            nodes[path] = (node._replace(size=len(new)), new)
    root = RootFs(nodes=nodes).root
    for entry in CHECKS:
        result = run_check(entry, root, "rootfs", production())
        assert "broke down" not in result.reason, f"{entry.name}: {result.reason}"


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("power", range(17))
def test_files_cut_at_a_power_of_two_break_no_check_down(power: int, share: int) -> None:
    nodes = dict(whole())
    files = sorted(path for path, (node, _) in nodes.items() if node.is_file)
    for path in files[share::2]:
        node, content = nodes[path]
        nodes[path] = (node._replace(size=min(node.size, 1 << power)), content[: 1 << power])
    root = RootFs(nodes=nodes).root
    for entry in CHECKS:
        result = run_check(entry, root, "rootfs", production())
        assert "broke down" not in result.reason, f"{entry.name}: {result.reason}"
