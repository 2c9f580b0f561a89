"""A second run over content that has not changed, on images of the real mksquashfs."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from everest_secure.checks.cache import ResultCache
from everest_secure.checks.contents import content_of, digest, digests_of
from everest_secure.checks.core import Boot, Check, Notes, Root, Scope
from everest_secure.checks.memory import Memory
from everest_secure.checks.run import run_all
from everest_secure.checks.session import check_artefacts
from everest_secure.checks.subjects import find_subjects
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.plain import plain
from everest_secure.report.as_json import as_mapping
from everest_secure.result import Outcome
from support.images import tool
from support.reference import require
from support.reports import policy, root

PARAMETERS = policy().parameters
DAY = date(2026, 8, 21)


def alone(_: Root, __: object, note: Notes) -> None:
    note.saw(f"run {next(RUNS)}")


def around(subject: Root, _: object, note: Notes) -> None:
    note.saw(f"{subject.container.name} run {next(RUNS)}")


def fails_once(*_: object) -> None:
    raise ArtefactError(f"run {next(RUNS)}")


def of_boot(_: Boot, __: object, note: Notes) -> None:
    note.saw(f"run {next(RUNS)}")


RUNS = iter(range(1_000_000))
CHECKS = [
    Check("NET-01", Scope.ROOT, alone),
    Check("NET-04", Scope.ROOT, around),
    Check("NET-06", Scope.ROOT, fails_once),
    Check("BOOT-01", Scope.BOOT, of_boot),
]


def disk(slot: bytes, rest: bytes, tmp_path: Path) -> Artefact:
    """A disk of one root file system and something else, taken for what it says it is."""
    require("mksquashfs")
    tree = root(tmp_path / "tree")
    (tree / "etc/slot").write_bytes(slot)
    (tmp_path / "slot").unlink(missing_ok=True)
    tool("mksquashfs", tree, tmp_path / "slot", "-quiet", "-no-progress", "-mkfs-time", "0", "-all-time", "0")
    inside = replace(open_artefact(tmp_path / "slot"), name="disk.raw:rootfs-a")
    assert inside.blob is not None
    content = inside.blob.read(0, inside.blob.size)
    return Artefact(
        "disk.raw", "gpt", from_bytes(content + rest, "disk.raw"), children=(replace(inside, blob=from_bytes(content, inside.name)),)
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Mapping[str, str]]:
    """Check a disk with what is remembered; returns what each check saw, which tells whether it ran."""

    def check(slot: bytes = b"a", rest: bytes = b"x", *, day: date = DAY, parameters: object = PARAMETERS) -> Mapping[str, str]:
        artefact = disk(slot, rest, tmp_path)
        subjects = find_subjects([artefact])
        every = [subject for named in subjects.values() for _, subject in named]
        memory = Memory(
            ResultCache(tmp_path / "cache"), digests=digests_of(every, [artefact], threads=2), policy=plain(parameters), day=day
        )
        found = run_all(subjects, CHECKS, PARAMETERS, processes=1, memory=memory)
        memory.keep()
        return {CHECKS[number].function.__name__: " ".join((*result.seen, result.reason)) for (number, _, _), result in found.items()}

    return check


Run = Callable[..., Mapping[str, str]]


def again(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Which checks were run once more."""
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_what_has_not_changed_is_not_checked_again_but_an_error_is(run: Run) -> None:
    assert again(run(), run()) == {"fails_once"}


def test_a_change_beside_the_slot_leaves_what_looked_at_the_slot_alone(run: Run) -> None:
    assert again(run(), run(rest=b"y")) == {"around", "of_boot", "fails_once"}


def test_a_change_in_the_slot_has_everything_checked_again(run: Run) -> None:
    assert again(run(), run(b"b")) == {"alone", "around", "of_boot", "fails_once"}


def test_another_day_or_another_policy_has_everything_checked_again(run: Run) -> None:
    first = run()
    assert len(again(first, run(day=DAY + timedelta(days=1)))) == len(CHECKS)
    assert len(again(first, run(parameters=replace(PARAMETERS, signature_key_bits=1)))) == len(CHECKS)


def test_a_directory_is_always_checked_again(tmp_path: Path) -> None:
    subjects = find_subjects([open_artefact(root(tmp_path / "tree"))])
    ((_, subject),) = subjects[Scope.ROOT]
    assert content_of(subject, {}) is None


def test_a_digest_is_of_the_whole_content() -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    import hashlib

    assert digest(from_bytes(content, "a")) == hashlib.sha256(content).hexdigest()


def test_a_second_check_says_the_same_with_and_without_what_was_kept(tmp_path: Path) -> None:
    require("mksquashfs")
    image = tmp_path / "rootfs.squashfs"
    tool("mksquashfs", root(tmp_path / "tree"), image, "-quiet", "-no-progress")
    said = [
        as_mapping(check_artefacts([image], profile="reference", cache=cache)) for cache in (None, tmp_path / "cache", tmp_path / "cache")
    ]
    for value in said:
        del value["time"]
    assert said[0] == said[1] == said[2]
    kept = [json.loads(file.read_text())["results"] for file in (tmp_path / "cache").iterdir()]
    assert kept
    assert Outcome.ERROR not in {entry["outcome"] for results in kept for entry in results.values()}
