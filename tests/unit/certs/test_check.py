"""Stores wherever they lie, and stores that somebody made to mislead."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from everest_secure.certs.check import policy_of, verify_stores
from everest_secure.checks.reason import Reason
from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.result import Outcome
from support.images import tool
from support.reference import require
from support.rootfs import RootFs, good_root
from support.vectors import Vector, Workshop, vectors, write

Printed = pytest.CaptureFixture[str]
STORE = "/etc/everest/certs"
COMPLETE = next(vector for vector in vectors() if vector.name == "a complete store holds")
EXPIRED = next(vector for vector in vectors() if vector.name == "a root that has expired is seen")


def directory(workshop: Workshop, vector: Vector, path: Path) -> Path:
    """Write a vector's store as a directory of this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(workshop.members(vector), path)
    return path


def check(*paths: Path | str) -> int:
    return main(["certs", "check", *map(str, paths)])


# Where stores lie


def packed(store: Path, place: str, output: Path) -> Path:
    """Pack a store as root would, so that it lies at `place` in the archive."""
    with tarfile.open(output, "w") as archive:
        archive.add(store, arcname=place, filter=_of_the_service_user)
    return output


def _of_the_service_user(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 1500
    return member


@pytest.mark.parametrize("place", [".", "certs", "etc/everest/certs", "var/lib/everest/certs", "lib/everest/certs"])
def test_a_store_is_found_where_it_lies_in_an_archive(workshop: Workshop, tmp_path: Path, place: str) -> None:
    good = packed(directory(workshop, COMPLETE, tmp_path / "good"), place, tmp_path / "good.tar")
    bad = packed(directory(workshop, EXPIRED, tmp_path / "bad"), place, tmp_path / "bad.tar")
    assert (check(good), check(bad), check(good, bad)) == (ExitCode.OK, ExitCode.FINDINGS, ExitCode.FINDINGS)


def test_an_archive_may_be_compressed(workshop: Workshop, tmp_path: Path) -> None:
    plain = packed(directory(workshop, EXPIRED, tmp_path / "store"), ".", tmp_path / "store.tar")
    (tmp_path / "small.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert check(tmp_path / "small.tar.gz") == ExitCode.FINDINGS


def test_the_image_of_a_data_partition_is_checked(workshop: Workshop, tmp_path: Path) -> None:
    require("mke2fs")
    content = tmp_path / "var"
    directory(workshop, EXPIRED, content / "lib/everest/certs")
    image = tmp_path / "data.ext4"
    tool("mke2fs", "-q", "-t", "ext4", "-d", content, image, "4M")
    report = tmp_path / "report.json"
    assert main(["certs", "check", str(image), "--json", str(report)]) == ExitCode.FINDINGS
    results = json.loads(report.read_text())["results"]
    found = [finding for result in results for part in result["checks"] for finding in part["findings"]]
    assert [finding["path"] for finding in found if "[expired]" in finding["what"]] == [f"{STORE}/ca/mo/MO_ROOT_CA.pem"]


def outcomes(fs: RootFs) -> dict[str, Outcome]:
    report = verify_stores([fs.root.artefact], policy=policy_of(None, None))
    return {result.requirement.id: result.outcome for result in report.results}


def test_the_store_of_a_system_is_checked_with_the_system_around_it(workshop: Workshop) -> None:
    """What mounts the store and makes its directories is part of the system, and what OCPP is configured for is none of the store's."""
    fs = good_root()
    assert outcomes(fs)["CERT-01"] is Outcome.PASS
    fs.file(f"{STORE}/ca/v2g/V2G_ROOT_CA.pem", workshop.chain("expired-root"))
    fs.remove("/etc/systemd/system/multi-user.target.wants/etc-everest-certs.mount")
    fs.replace("/etc/everest/ocpp/component_config/standardized/InternalCtrlr.json", "true", "false")
    assert {name for name, outcome in outcomes(fs).items() if outcome is Outcome.FAIL} == {"CERT-01", "CERT-04"}


# What is no store, or none that can be judged


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "holds neither a root file system nor a certificate store, with 'ca' or 'client' in it"),
        (lambda path: path.write_bytes(b"no archive"), "is of no known type"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.symlink_to("nowhere"), "is not a file that can be read"),
    ],
)
def test_what_holds_no_store_is_one_sentence(tmp_path: Path, capsys: Printed, make: Callable[[Path], object], said: str) -> None:
    make(tmp_path / "store")
    assert check(tmp_path / "store") == ExitCode.FAILED
    printed = capsys.readouterr()
    assert said in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_two_stores_of_one_name_are_refused(workshop: Workshop, tmp_path: Path, capsys: Printed) -> None:
    paths = [directory(workshop, COMPLETE, tmp_path / name / "store") for name in ("one", "two")]
    assert check(*paths) == ExitCode.FAILED
    assert "two of the artefacts are called store" in capsys.readouterr().err


def test_an_archive_that_is_cut_off_is_refused(workshop: Workshop, tmp_path: Path, capsys: Printed) -> None:
    plain = packed(directory(workshop, COMPLETE, tmp_path / "store"), ".", tmp_path / "store.tar")
    plain.write_bytes(plain.read_bytes()[:7000])
    assert check(plain) == ExitCode.FAILED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_store_that_may_not_be_read_never_passes(workshop: Workshop, tmp_path: Path) -> None:
    require("setpriv")
    store = directory(workshop, COMPLETE, tmp_path / "store")
    store.chmod(0)
    # Root without the capabilities that let it read everything; its own files it still reads, wherever this project lies.
    limits = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command: list[str | Path] = [*limits, Path(sys.executable).parent / "everest-secure", "certs", "check", store]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    store.chmod(0o700)
    assert done.returncode == ExitCode.FAILED
    assert "cannot be read" in done.stderr


# Hostile stores


@pytest.fixture
def store(workshop: Workshop, tmp_path: Path) -> Path:
    return directory(workshop, COMPLETE, tmp_path / "place" / "store")


def archived(store: Path, *more: tarfile.TarInfo) -> Path:
    """Pack the store, and members besides."""
    packed(store, ".", store.parent / "store.tar")
    with tarfile.open(store.parent / "store.tar", "a") as archive:
        for member in more:
            member.uid = member.gid = 1500
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return store.parent / "store.tar"


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
    return member


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside.pem", "CHAIN.pem", "nowhere.pem"])
def test_a_link_that_leads_nowhere_in_the_store_is_seen_and_not_followed(store: Path, capsys: Printed, target: str) -> None:
    (store.parent / "outside.pem").write_bytes((store / "ca/v2g/V2G_ROOT_CA.pem").read_bytes())
    assert check(archived(store, link("client/cso/CHAIN.pem", target))) == ExitCode.FINDINGS
    (store / "client/cso/CHAIN.pem").symlink_to(target)
    capsys.readouterr()
    check(store)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"is a link to {target}, which is not in the store [layout]" in printed
    assert "CERT-03  " not in printed


def test_a_fifo_and_other_things_that_no_store_holds_are_seen(store: Path, capsys: Printed) -> None:
    os.mkfifo(store / "client/cso/SECC.key")
    assert check(store) == ExitCode.FINDINGS
    assert "SECC.key is a fifo [layout]" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("name", "said"), [("SECC.key", "is no file of a certificate store"), ("CHAIN.pem", "more than the 16777216")])
def test_a_file_of_a_terabyte_is_not_read(store: Path, capsys: Printed, name: str, said: str) -> None:
    path = store / "client/cso" / name
    path.touch()
    os.truncate(path, 1 << 40)
    assert check(store) == ExitCode.FAILED
    assert said in " ".join(capsys.readouterr().out.split())


def test_more_certificates_than_any_charger_has_are_not_judged(store: Path, workshop: Workshop, capsys: Printed) -> None:
    for number in range(3):
        (store / f"ca/mo/{number}.pem").write_bytes(workshop.chain("other-root") * 400)
    assert check(store) == ExitCode.FAILED
    assert "the store holds more than 1000 certificates" in " ".join(capsys.readouterr().out.split())


def test_names_that_speak_to_the_terminal_are_shown_harmlessly(store: Path, workshop: Workshop, capsys: Printed) -> None:
    (store / "ca/mo/\x1b[2J\n.pem").write_bytes(workshop.chain("expired-root"))
    check(store)
    assert "\x1b" not in capsys.readouterr().out


def test_a_hundred_thousand_certificates_that_only_begin_hide_nothing(store: Path, workshop: Workshop) -> None:
    begins = b"-----BEGIN CERTIFICATE-----\n" * 100_000
    (store / "ca/mo/MO_ROOT_CA.pem").write_bytes(begins + b"-----END CERTIFICATE-----\n" + workshop.chain("expired-root"))
    assert check(store) == ExitCode.FAILED


def test_every_reason_of_a_store_is_one_that_the_documentation_explains() -> None:
    text = (Path(__file__).parents[3] / "docs" / "certificates.md").read_text()
    assert [reason for reason in Reason if f"| `{reason}` |" not in text] == []
