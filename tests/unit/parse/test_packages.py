import sqlite3
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.packages import LICENCES, read_packages
from everest_secure.parse.rpm_database import DATABASES
from everest_secure.run import is_installed
from support.rootfs import RootFs

DATABASE = DATABASES[0]


def names(fs: RootFs) -> dict[str, str]:
    return {package.name: package.version for package in read_packages(fs.tree) or ()}


def test_the_list_of_licences_stands_in_for_a_package_managers_that_is_gone() -> None:
    fs = (
        RootFs()
        .directory("/")
        .file(
            LICENCES,
            "PACKAGE NAME: tpm2-openssl\nPACKAGE VERSION: 1.3.0\nRECIPE NAME: tpm2-openssl\nLICENSE: BSD-3-Clause\n\nPACKAGE NAME: x\nLICENSE: MIT\n",
        )
    )
    assert names(fs) == {"tpm2-openssl": "1.3.0", "x": ""}
    assert names(fs.file("/var/lib/opkg/status", "Package: a\nVersion: 1\nStatus: install ok installed\n")) == {"a": "1"}


@pytest.mark.parametrize(
    ("status", "there"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("install user unpacked", True),
        ("install ok half-configured", True),
        ("install ok triggers-pending", True),
        ("deinstall ok config-files", False),
        ("deinstall ok not-installed", False),
    ],
)
def test_a_package_counts_when_its_files_are_there(status: str, there: bool) -> None:
    assert names(RootFs().file("/var/lib/opkg/status", f"Package: a\nVersion: 1\nStatus: {status}\n")) == ({"a": "1"} if there else {})


@pytest.mark.parametrize(
    "path", ["/var/lib/dpkg/status", "/var/lib/dpkg/status.d/a", "/var/lib/dpkg/updates/0001", "/usr/lib/opkg/status", "/opt/opkg/list"]
)
def test_lists_are_found_in_every_layout(path: str) -> None:
    fs = RootFs().file("/etc/opkg/opkg.conf", "src/gz all http://x\noption status_file /opt/opkg/list\n")
    assert names(fs.file(path, "Package: a\nVersion: 1\n")) == {"a": "1"}


@pytest.mark.parametrize("name", ["Packages", "Packages.db"])
def test_an_rpm_database_of_an_older_form_is_one_sentence_even_beside_another_list(name: str) -> None:
    fs = RootFs().file(f"/var/lib/rpm/{name}", "x").file("/var/lib/opkg/status", "Package: a\nVersion: 1\n")
    with pytest.raises(ArtefactError, match="of a form that is not read"):
        read_packages(fs.tree)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The list of a root in which rpm installed two packages."""
    if not is_installed("rpmbuild"):
        pytest.skip("rpmbuild is not installed")
    place = tmp_path_factory.mktemp("rpm")
    for name, version, extra in (("tpm2-openssl", "1.3.0", "Epoch: 2\n"), ("tpm2-tss", "4.1.3", "")):
        spec = place / f"{name}.spec"
        spec.write_text(
            f"Name: {name}\nVersion: {version}\nRelease: r0\n{extra}Summary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n%files\n"
        )
        rpmbuild(place, spec)
    root = place / "root"
    packages = sorted((place / "RPMS/noarch").glob("*.rpm"))
    arguments: list[str | Path] = [
        "rpm",
        "--root",
        root,
        "--dbpath",
        "/var/lib/rpm",
        "--install",
        "--justdb",
        "--nodeps",
        "--nosignature",
        *packages,
    ]
    subprocess.run(arguments, check=True, capture_output=True)
    return (root / DATABASE.lstrip("/")).read_bytes()


def rpmbuild(place: Path, spec: Path) -> None:
    subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {place}", spec], check=True, capture_output=True)


def test_an_rpm_database_is_read_as_rpm_wrote_it(database: bytes) -> None:
    for path in DATABASES:
        assert names(RootFs().file(path, database)) == {"tpm2-openssl": "2:1.3.0-r0", "tpm2-tss": "4.1.3-r0"}


@pytest.mark.parametrize("size", [0, 15, 100, 4096, 8192])
def test_a_truncated_rpm_database_is_one_sentence(database: bytes, size: int) -> None:
    with pytest.raises(ArtefactError, match="no package list that can be read"):
        read_packages(RootFs().file(DATABASE, database[:size]).tree)


def test_an_rpm_database_with_a_pending_journal_is_one_sentence(database: bytes) -> None:
    with pytest.raises(ArtefactError, match="has changes in"):
        read_packages(RootFs().file(DATABASE, database).file(f"{DATABASE}-wal", b"x").tree)


def made(*statements: str) -> bytes:
    with sqlite3.connect(":memory:") as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        return connection.serialize()


ENDLESS = "n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"


@pytest.mark.parametrize(
    "content",
    [
        made("CREATE TABLE other (a)"),
        made("CREATE TABLE Packages (hnum, blob)", "INSERT INTO Packages VALUES (1, 'text')"),
        made("CREATE TABLE Packages (hnum, blob)", "INSERT INTO Packages VALUES (1, x'ffffffff00000000')"),
        made("CREATE TABLE Packages (hnum, blob)", "INSERT INTO Packages VALUES (1, x'0000000100000000000003e8000000060000ffff00000001')"),
        made("CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT blob + 1 FROM n) SELECT blob FROM n"),
        made("CREATE VIEW Packages AS SELECT zeroblob(900000000) AS blob"),
        made(f"CREATE VIEW Packages AS WITH RECURSIVE {ENDLESS} SELECT zeroblob(60000000) AS blob FROM n"),
        made(f"CREATE VIEW Packages AS WITH RECURSIVE {ENDLESS} SELECT zeroblob(1) AS blob FROM n"),
        made("CREATE VIEW Packages AS SELECT blob FROM missing_").replace(b"missing_", b"missing\xf4"),
    ],
    ids=[
        "no table",
        "text",
        "too many entries",
        "outside",
        "a view without end",
        "a large blob",
        "large blobs without end",
        "blobs without end",
        "a name that is no text",
    ],
)
def test_a_hostile_rpm_database_is_one_sentence(content: bytes) -> None:
    with pytest.raises(ArtefactError, match="no package list that can be read"):
        read_packages(RootFs().file(DATABASE, content).tree)
