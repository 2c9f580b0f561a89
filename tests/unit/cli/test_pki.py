import json
import os
import pty
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.pki import certificates
from everest_secure.pki.store import Store

SECRET = "correct horse battery"
PROFILE = """\
summary: A small PKI
organization: Test
development: true
encrypted_keys: %s
keyring: [root]
certificates:
  root: {common_name: Root, usage: authority, path_length: 0, key: ecdsa-p256, validity_days: 100}
  signer: {common_name: Signer, usage: bundle-signing, key: ecdsa-p256, validity_days: 80, issuer: root}
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "small.yml"
    path.write_text(PROFILE % "false")
    return path


def test_init_makes_a_pki_and_status_finds_it_in_order(tmp_path: Path, profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "pki"
    assert main(["pki", "init", str(made), "--profile", str(profile)]) == ExitCode.OK
    assert stat.S_IMODE((made / "root.key.pem").stat().st_mode) == 0o600
    assert str(made / "keyring.pem") in capsys.readouterr().out
    assert main(["pki", "status", str(made)]) == ExitCode.OK
    assert "Signer" in capsys.readouterr().out


def test_a_second_init_is_one_sentence_and_exit_code_2(tmp_path: Path, profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile)])
    capsys.readouterr()
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile)]) == ExitCode.FAILED
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.count("\n") == 1
    assert "exists already and is never overwritten" in written.err


def test_status_exits_with_1_when_something_is_not_in_order(tmp_path: Path, profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile)])
    (tmp_path / "pki" / "signer.key.pem").chmod(0o644)
    assert main(["pki", "status", str(tmp_path / "pki")]) == ExitCode.FINDINGS
    assert "chmod it to 0600" in capsys.readouterr().out


def test_encrypted_keys_take_their_passphrase_from_the_environment(tmp_path: Path, profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.write_text(PROFILE % "true")
    monkeypatch.setenv("SECRET", "correct horse battery")
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile), "--passphrase-env", "SECRET"]) == ExitCode.OK
    assert "ENCRYPTED" in (tmp_path / "pki" / "root.key.pem").read_text()


def test_a_short_passphrase_is_refused_and_makes_nothing(tmp_path: Path, profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.write_text(PROFILE % "true")
    monkeypatch.setenv("SECRET", "short")
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile), "--passphrase-env", "SECRET"]) == ExitCode.FAILED
    assert not (tmp_path / "pki").exists()


@pytest.fixture
def pki(tmp_path: Path, profile: Path, capsys: pytest.CaptureFixture[str]) -> Store:
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile)]) == ExitCode.OK
    capsys.readouterr()
    return Store(tmp_path / "pki")


def run(pki: Store, name: str, *argv: str) -> int:
    return main(["pki", name, str(pki.directory), *argv])


LEAF = ["--issuer", "root", "--usage", "tls-client", "--common-name", "cp001", "--days", "30"]


def test_every_command_says_what_it_did_in_one_line(pki: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = (
        ("issue", ["cp001", *LEAF]),
        ("renew", ["cp001", "--days", "20"]),
        ("rotate", ["signer"]),
        ("revoke", ["signer", "--reason", "superseded"]),
        ("crl", ["root", "--days", "20"]),
        ("export-keyring", [str(tmp_path / "keyring.pem"), "--lists"]),
    )
    for name, argv in steps:
        assert run(pki, name, *argv) == ExitCode.OK
    written = capsys.readouterr()
    assert written.err == ""
    said = written.out.splitlines()
    assert len(said) == len(steps)
    assert [line.partition(": ")[2].partition(",")[0] for line in said] == [
        "'cp001' issued",
        "'cp001' renewed",
        "'signer-2' stands beside 'signer'",
        "'signer' revoked (1 certificate); ship the list with 'pki export-keyring --lists'",
        "list 2 of 'root'",
        "root with revocation lists",
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["issue", "cp001", *LEAF, "--usage", "any"], "there is no usage 'any'; use authority, bundle-signing"),
        (["issue", "cp001", *LEAF, "--key-type", "rsa-1024"], "there is no key type 'rsa-1024'; use rsa-2048"),
        (["issue", "cp001", *LEAF, "--path-length", "1"], "leave --path-length out"),
        (["issue", "cp001", *LEAF, "--days", "0"], "valid for 1 to 14610 days and not for 0"),
        (["issue", "cp001", *LEAF, "--common-name", "a" * 65], "1 to 64 printable characters"),
        (["issue", "cp001", *LEAF, "--common-name", "a\nb"], "1 to 64 printable characters"),
        (["issue", "cp001", *LEAF, "--usage", "tls-server"], "give it some with --dns or --ip"),
        (["issue", "cp001", *LEAF, "--dns", "a b"], "'a b' is no DNS name"),
        (["issue", "cp001", *LEAF, "--ip", "1.2.3"], "'1.2.3' is no IP address"),
        (["issue", "cp001", *LEAF, "--csr", "/nowhere.csr"], "/nowhere.csr cannot be read"),
        (["issue", "cp001", *LEAF, "--on-token", "token=release"], "is no PKCS#11 URI"),
        (["issue", "cp001", *LEAF, "--on-token", "pkcs11:token=release"], "name it with --pkcs11-module"),
        (["renew", "signer", "--plain-key"], "add --new-key or leave them out"),
        (["renew", "signer", "--days", "-1"], "valid for 1 to 14610 days and not for -1"),
        (["rotate", "signer", "--days", "20000"], "valid for 1 to 14610 days and not for 20000"),
        (["crl", "root", "--days", "0"], "valid for 1 to 14610 days and not for 0"),
        (["issue", "cp001", *LEAF, "--csr", "/x.csr", "--plain-key"], "leave --on-token and --plain-key out"),
        (["renew", "nobody"], "has no certificate 'nobody'; it has root, signer"),
        (["rotate", "root", "--issuer", "root"], "rotate it without --issuer"),
        (["revoke", "root"], "is its own issuer"),
        (["revoke", "signer", "--reason", "boredom"], "there is no reason 'boredom'"),
        (["crl", "signer"], "is no authority"),
        (["export-keyring", "/nowhere/keyring.pem"], "the directory /nowhere does not exist"),
        (["rotate", "signer", "--key", "root=a", "--key", "root=b"], "--key says twice where the key of 'root' is"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2_and_changes_nothing(
    pki: Store, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in pki.directory.iterdir()}
    assert run(pki, argv[0], *argv[1:]) == ExitCode.FAILED
    written = capsys.readouterr()
    assert words in written.err
    assert (written.out, written.err.count("\n")) == ("", 1)
    assert {path.name: path.read_bytes() for path in pki.directory.iterdir()} == before


@pytest.mark.parametrize(
    "argv",
    [
        ["issue", "x"],
        ["rotate", "signer", "--key", "root"],
        ["status", "--warn-days", "soon"],
        ["status", "--warn-days", "99999999999"],
        ["init", "--on-token", "x"],
    ],
)
def test_a_wrong_command_line_is_exit_code_64(pki: Store, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(pki, argv[0], *argv[1:])
    assert ended.value.code == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_status_in_json_has_every_certificate_and_what_is_not_in_order(pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    run(pki, "revoke", "signer")
    pki.key("root").chmod(0o644)
    capsys.readouterr()
    assert run(pki, "status", "--json") == ExitCode.FINDINGS
    shown = json.loads(capsys.readouterr().out)
    entries = {entry["name"]: entry for entry in shown["certificates"]}
    assert (entries["signer"]["issuer"], entries["signer"]["revoked"], entries["signer"]["key_place"]) == ("root", True, "file")
    assert entries["root"]["revocation_list"]["number"] == 1
    assert shown["problems"] == ["root: its key has mode 0644; chmod it to 0600"]


def test_a_watcher_can_have_an_exit_code_for_what_ends_soon(pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pki, "status", "--warn-days", "90") == ExitCode.OK
    assert "warning: signer: it expires on" in capsys.readouterr().out
    assert run(pki, "status", "--warn-days", "90", "--fail-on-warning") == ExitCode.FINDINGS
    assert run(pki, "status", "--warn-days", "70", "--fail-on-warning") == ExitCode.OK


def test_one_descriptor_gives_the_passphrase_of_all_keys_of_a_command(tmp_path: Path, profile: Path) -> None:
    profile.write_text((PROFILE % "true").replace("development: true", "development: false"))
    reader, writer = os.pipe()
    os.write(writer, f"{SECRET}\n".encode() * 2)
    os.close(writer)
    source = ["--passphrase-fd", str(reader)]
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile), *source]) == ExitCode.OK
    assert main(["pki", "rotate", str(tmp_path / "pki"), "root", *source]) == ExitCode.FAILED  # the descriptor has been read
    os.close(reader)
    reader, writer = os.pipe()
    os.write(writer, f"{SECRET}\n".encode())
    os.close(writer)
    assert main(["pki", "rotate", str(tmp_path / "pki"), "root", "--passphrase-fd", str(reader)]) == ExitCode.OK
    os.close(reader)
    assert "ENCRYPTED" in (tmp_path / "pki" / "root-2.key.pem").read_text()


def test_a_terminal_is_asked_for_each_passphrase_and_shows_none(tmp_path: Path, profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.write_text((PROFILE % "true").replace("development: true", "development: false"))
    monkeypatch.setenv("SECRET", SECRET)
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile), "--passphrase-env", "SECRET"]) == ExitCode.OK
    shown = at_terminal(["pki", "rotate", str(tmp_path / "pki"), "signer"], [SECRET, "another horse battery", "another horse battery"])
    assert f"Passphrase of the key {tmp_path / 'pki' / 'root.key.pem'}: " in shown
    assert "Passphrase of the new key 'signer-2': " in shown
    assert "The same again: " in shown
    assert "stands beside 'signer'" in shown
    assert "horse" not in shown
    assert certificates.load_one(tmp_path / "pki" / "signer-2.cert.pem")


def test_a_question_at_the_terminal_that_gets_no_answer_is_one_sentence(tmp_path: Path, profile: Path) -> None:
    profile.write_text((PROFILE % "true").replace("development: true", "development: false"))
    shown = at_terminal(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile)], ["\x04"], code=ExitCode.FAILED)
    assert "was given at the terminal; try again, or use --passphrase-env or --passphrase-fd" in " ".join(shown.split())
    assert "internal error" not in shown
    assert not (tmp_path / "pki").exists()


def test_a_key_that_would_be_made_on_two_tokens_is_made_on_none(tmp_path: Path, profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [f"--on-token=signer=pkcs11:token={name}" for name in ("a", "b")]
    assert main(["pki", "init", str(tmp_path / "pki"), "--profile", str(profile), *places]) == ExitCode.FAILED
    assert "--on-token says twice where the key of 'signer' is" in capsys.readouterr().err


def at_terminal(argv: list[str], answers: list[str], *, code: int = ExitCode.OK) -> str:
    """Run a command at a terminal, answer its questions one after the other, and return what the terminal shows."""
    terminal, other = pty.openpty()
    program = [sys.executable, "-c", "import sys; from everest_secure.cli.main import main; sys.exit(main())", *argv]
    process = subprocess.Popen(program, stdin=other, stdout=other, stderr=other, start_new_session=True)
    os.close(other)
    shown = b""
    while True:
        assert select.select([terminal], [], [], 60)[0], f"it waits for an answer: {shown.decode()}"
        try:
            got = os.read(terminal, 4096)
        except OSError:  # the last program has closed it
            break
        if not got:
            break
        shown += got
        if got.endswith(b": ") and answers:
            answer = answers.pop(0)
            os.write(terminal, answer.encode() + (b"" if answer == "\x04" else b"\n"))
    os.close(terminal)
    assert process.wait() == code
    return shown.decode()
