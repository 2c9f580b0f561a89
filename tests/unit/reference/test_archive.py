import re
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.reference.archive import KEYRING, RELEASE, VARIABLE, Archive, find_archive

MAIN, SECURITY = "http://deb.example.org/debian", "http://deb.example.org/debian-security"


def etc_apt(directory: Path, files: dict[str, str]) -> Path:
    """Write apt's configuration: file name below /etc/apt to its text."""
    (directory / "sources.list.d").mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def found(directory: Path, files: dict[str, str]) -> Archive:
    return find_archive(etc_apt=etc_apt(directory, files), environ={})


def test_one_line_sources_are_read_with_their_options(tmp_path: Path) -> None:
    text = f"""
# deb http://old.example.org/debian bookworm main
deb-src http://source.example.org/debian bookworm main
deb [arch=amd64 signed-by={KEYRING}] {MAIN} bookworm main contrib
deb {MAIN} bookworm-updates main
deb\t{SECURITY}   bookworm-security main
"""
    assert found(tmp_path, {"sources.list": text}) == Archive(MAIN, SECURITY)


def test_deb822_sources_are_read(tmp_path: Path) -> None:
    text = f"""Types: deb deb-src
# a comment in a stanza
URIs: {MAIN}
Suites: trixie trixie-updates
Components: main
Signed-By: {KEYRING}

Types: deb
URIs: {SECURITY}
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
"""
    assert found(tmp_path, {"sources.list.d/debian.sources": text}) == Archive(MAIN, SECURITY)


def test_a_deb822_field_may_go_on_over_lines(tmp_path: Path) -> None:
    text = f"Types: deb\nURIs:\n {MAIN}\nSuites:\n trixie\n trixie-updates\nComponents: main\n"
    assert found(tmp_path, {"sources.list.d/debian.sources": text}) == Archive(MAIN, None)


@pytest.mark.parametrize("no", ["no", "No", "false", "off", "0"])
def test_a_disabled_stanza_is_left_out(tmp_path: Path, no: str) -> None:
    off = f"Enabled: {no}\nTypes: deb\nURIs: http://off.example.org/debian\nSuites: trixie\nComponents: main\n"
    on = f"Types: deb\nURIs: {MAIN}\nSuites: trixie\nComponents: main\n"
    assert found(tmp_path, {"sources.list.d/debian.sources": f"{off}\n{on}"}) == Archive(MAIN, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.list", "deb http://other.example.org/node nodistro main\n"),
        ("a.list", "deb [signed-by=/etc/apt/keyrings/docker.asc arch=amd64] http://other.example.org/debian bookworm stable\n"),
        ("a.sources", "Types: deb\nURIs: http://other.example.org/cli\nSuites: bookworm\nSigned-By: /usr/share/keyrings/vendor.gpg\n"),
        ("a.sources", "Types: deb-src\nURIs: http://other.example.org/debian\nSuites: bookworm\n"),
        ("a.list.disabled", "deb http://other.example.org/debian bookworm main\n"),
        ("a.list", "deb cdrom:[Debian GNU/Linux 13 trixie]/ trixie main\n"),
    ],
)
def test_other_repositories_are_left_out(tmp_path: Path, name: str, text: str) -> None:
    debian = f"Types: deb\nURIs: {MAIN}\nSuites: bookworm\nComponents: main\n"
    assert found(tmp_path, {f"sources.list.d/{name}": text, "sources.list.d/debian.sources": debian}) == Archive(MAIN, None)


def test_a_list_of_mirrors_gives_its_first(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text(f"# nearest first\n{MAIN}\tpriority:1\nhttp://far.example.org/debian\n")
    assert found(tmp_path, {"sources.list": f"deb mirror+file:{mirrors} trixie main\n"}) == Archive(MAIN, None)


def test_the_environment_names_another_archive(tmp_path: Path) -> None:
    directory = etc_apt(tmp_path, {"sources.list": f"deb {MAIN} trixie main\n"})
    assert find_archive(etc_apt=directory, environ={VARIABLE: "http://house.example.org/debian"}) == Archive(
        "http://house.example.org/debian", None
    )


@pytest.mark.parametrize("files", [{}, {"sources.list": "deb http://other.example.org/ubuntu noble main\n"}])
def test_no_debian_archive_is_one_sentence_that_says_what_to_do(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(UserError, match=rf"^no Debian archive is set up in {re.escape(str(tmp_path))}; add one to .* {VARIABLE}$"):
        found(tmp_path, files)


def test_a_machine_without_apt_has_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Debian archive is set up"):
        find_archive(etc_apt=tmp_path / "none", environ={})


def test_sources_name_the_release_its_updates_and_security(tmp_path: Path) -> None:
    written = Archive(MAIN, SECURITY).sources(tmp_path / "key.gpg")
    assert [line for line in written.splitlines() if line.startswith(("URIs", "Suites"))] == [
        f"URIs: {MAIN}",
        f"Suites: {RELEASE} {RELEASE}-updates",
        f"URIs: {SECURITY}",
        f"Suites: {RELEASE}-security",
    ]
    assert written.count(f"Signed-By: {tmp_path}/key.gpg") == 2


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    archive = Archive(MAIN, SECURITY)
    assert found(tmp_path, {"sources.list.d/debian.sources": archive.sources()}) == archive
