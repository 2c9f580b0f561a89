"""Every vector of the table, through the commands as they are typed."""

import json
import os
import re
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from everest_secure.checks.reason import Reason
from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from support.vectors import Member, Vector, Workshop, sentence, table, vectors

WORD = re.compile(r"\[([a-z-]+)\]$")
BUNDLES = {kind: f"ca/{kind}/{kind.upper()}_ROOT_CA.pem" for kind in ("v2g", "csms", "mf", "mo")}
STAGED = vectors("install ca", "install csms", "install secc", "check csms secc")


def tar(path: Path, members: tuple[Member, ...]) -> Path:
    """Pack a store with the owners that it is to have, whoever the test is."""
    uid = table()["policy"]["uid"]
    with tarfile.open(path, "w") as archive:
        for member in members:
            header = tarfile.TarInfo(f"./{member.path}")
            header.mode = member.mode
            header.uid = header.gid = uid if member.owner == "everest" else 0
            header.type = tarfile.DIRTYPE if member.content is None else tarfile.SYMTYPE if member.link else tarfile.REGTYPE
            header.linkname = os.path.relpath(member.link, Path(member.path).parent) if member.link else ""
            header.size = len(member.content or b"")
            archive.addfile(header, BytesIO(member.content or b""))
    return path


def check(path: Path) -> tuple[int, set[tuple[str, str]]]:
    """Run the command; return its exit code and the requirements that do not hold, each with the reason."""
    file = path.with_name("report.json")
    code = main(["certs", "check", str(path), "--json", str(file), "--quiet"])
    found = set()
    for result in json.loads(file.read_text())["results"]:
        for part in result["checks"]:
            if part["outcome"] == "error":
                assert "cannot be read" in part["reason"], part
                found.add((result["id"], str(Reason.UNREADABLE)))
        found |= {(result["id"], WORD.findall(finding["what"])[0]) for part in result["checks"] for finding in part["findings"]}
    return code, found


def judged_rightly(vector: Vector, code: int, found: set[tuple[str, str]]) -> None:
    assert {reason for _, reason in found} == ({vector.reason} if vector.reason else set())
    assert {requirement for requirement, _ in found} >= ({vector.requirement} if vector.reason else set())
    if vector.reason == Reason.UNREADABLE:
        assert code in (ExitCode.FINDINGS, ExitCode.FAILED)
    else:
        assert code == (ExitCode.FINDINGS if vector.reason else ExitCode.OK)
        assert len(found) == bool(vector.reason)


@pytest.mark.parametrize("vector", vectors("check"), ids=sentence)
def test_a_store_in_an_archive_is_judged_as_the_table_says(vector: Vector, workshop: Workshop, tmp_path: Path) -> None:
    judged_rightly(vector, *check(tar(tmp_path / "store.tar", workshop.members(vector))))


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
@pytest.mark.parametrize("vector", vectors("check"), ids=sentence)
def test_a_store_in_a_directory_is_judged_as_the_table_says(vector: Vector, workshop: Workshop) -> None:
    judged_rightly(vector, *check(workshop.lay_out(vector).store))


def left(directory: Path) -> list[str]:
    """Everything in a directory, hidden files too."""
    return [path.name for path in directory.iterdir()]


def arguments(vector: Vector, workshop: Workshop) -> list[str]:
    """What is typed to stage the store that the vector's is to become; a key that lies in its store is given with the chain."""
    made = workshop.lay_out(vector)
    typed = []
    for kind, path in BUNDLES.items():
        if (made.store / path).stat().st_size:
            typed += ["--ca", f"{kind}={made.store / path}"]
    if made.offered is None:
        for name, chain in (("csms", "csms/CSMS_LEAF"), ("secc", "cso/SECC_LEAF")):
            pair = made.store / "client" / chain
            typed += [f"--{name}", f"{pair}.pem", f"--{name}-key", f"{pair}.tkey"]
        return typed
    name = vector.do.removeprefix("install ")
    typed += ["--ca", f"{vector.kind}={made.offered}"] if name == "ca" else [f"--{name}", str(made.offered)]
    for key in [made.key] if made.key else made.store.rglob("*.tkey"):
        typed += [f"--{name}-key", str(key)]
    return typed


def staged_reason(vector: Vector) -> str:
    """One who stages names the key: another one in the store is then a wrong one given."""
    return Reason.KEY_MISMATCH if vector.reason == Reason.NO_KEY and vector.store else vector.reason


@pytest.mark.parametrize("vector", STAGED, ids=sentence)
def test_a_store_is_staged_or_refused_as_the_table_says(
    vector: Vector, workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "store.tar"
    code = main(["certs", "stage", str(output), *arguments(vector, workshop)])
    printed = capsys.readouterr().out
    if vector.verdict == "accepted":
        assert (code, left(tmp_path)) == (ExitCode.OK, ["store.tar"])
        assert check(output) == (ExitCode.OK, set())
    elif vector.reason == Reason.UNREADABLE:
        assert (code, left(tmp_path)) == (ExitCode.FAILED, [])
        assert "cannot be read" in printed
    else:
        assert (code, left(tmp_path)) == (ExitCode.FINDINGS, [])
        assert {word for line in printed.splitlines() for word in WORD.findall(line)} == {staged_reason(vector)}
        broken = {line.split()[0] for line in printed.splitlines() if WORD.search(line)}
        assert {vector.requirement} <= broken <= {vector.requirement, "CERT-08"}


def test_both_programs_have_the_same_words() -> None:
    assert set(table()["reasons"]) == {str(reason) for reason in Reason}
