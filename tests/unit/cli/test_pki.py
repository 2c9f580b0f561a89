import stat
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode

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
