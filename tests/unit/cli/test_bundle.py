import json
import shutil
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.pki.keys import KeyType
from everest_secure.pki.store import Store
from support import pki as support
from support.bundle import incompressible

pytestmark = pytest.mark.skipif(shutil.which("rauc") is None, reason="needs the program rauc")


@pytest.fixture
def pki(tmp_path: Path) -> Store:
    return support.make(tmp_path / "pki", chosen=support.small(key=KeyType.ECDSA_P384))


def create(directory: Path, pki: Store, *more: str) -> int:
    (directory / "rootfs.img").write_bytes(incompressible(64 * 1024))
    (directory / "update.yml").write_text("compatible: charger\nversion: 1.2.3\nimages:\n  rootfs: {file: rootfs.img}\n")
    files = [
        "--key",
        pki.key("signer"),
        "--cert",
        pki.certificate("signer"),
        "--intermediate",
        pki.chain("signer"),
        "--keyring",
        pki.keyring,
    ]
    return main(["bundle", "create", str(directory / "update.yml"), str(directory / "update.raucb"), *map(str, files), *more])


def test_create_verify_and_info_agree(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(tmp_path, pki) == ExitCode.OK
    assert "charger 1.2.3, signed and verified" in capsys.readouterr().out
    bundle = str(tmp_path / "update.raucb")
    assert main(["bundle", "verify", bundle, "--keyring", str(pki.keyring), "--json"]) == ExitCode.OK
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["accepted"], verdict["difference"]) == (True, "")
    assert verdict["independent"]["accepted"]
    assert verdict["rauc"]["accepted"]
    assert main(["bundle", "info", bundle, "--json"]) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    assert verdict["bundle"] == {**said, "verified": True}
    assert said["images"][0]["name"] == "rootfs.img"
    assert not said["verified"]


def test_a_person_reads_whether_the_signature_was_verified(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path, pki)
    capsys.readouterr()
    main(["bundle", "info", str(tmp_path / "update.raucb")])
    assert "not verified" in capsys.readouterr().out


def test_a_refused_bundle_is_exit_code_1_with_the_reasons_of_both(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path, pki)
    other = support.make(tmp_path / "other")
    capsys.readouterr()
    assert main(["bundle", "verify", str(tmp_path / "update.raucb"), "--keyring", str(other.keyring)]) == ExitCode.FINDINGS
    shown = capsys.readouterr().out
    assert "untrusted: the chain ends at" in shown
    assert "unable to get local issuer certificate" in shown


def test_without_rauc_a_bundle_is_verified_when_that_is_asked_for(
    tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path, pki)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    verify = ["bundle", "verify", str(tmp_path / "update.raucb"), "--keyring", str(pki.keyring)]
    assert main(verify) == ExitCode.FAILED
    assert "'rauc' is not installed" in capsys.readouterr().err
    assert main([*verify, "--independent-only"]) == ExitCode.OK


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--compatible", "other"), "compatible"),
        (("--min-version", "1.2.4"), "downgrade"),
        (("--component", "mcu"), "component"),
        (("--crypt",), "format"),
        (("--check-crl",), "revocation-list"),
    ],
)
def test_what_the_options_ask_for_is_judged(
    tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], why: str
) -> None:
    create(tmp_path, pki)
    verify = ["bundle", "verify", str(tmp_path / "update.raucb"), "--keyring", str(pki.keyring), "--json", *option]
    capsys.readouterr()
    assert main(verify) == ExitCode.FINDINGS
    verdict = json.loads(capsys.readouterr().out)
    assert {reason["why"] for reason in verdict["independent"]["reasons"]} == {why}
    assert verdict["difference"] == ""


def test_images_are_taken_out(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path, pki)
    capsys.readouterr()
    extract = ["bundle", "extract", str(tmp_path / "update.raucb"), str(tmp_path / "out"), "--keyring", str(pki.keyring)]
    assert main(extract) == ExitCode.OK
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'rootfs.img'}\n"
    assert (tmp_path / "out" / "rootfs.img").read_bytes() == (tmp_path / "rootfs.img").read_bytes()
    assert main(extract) == ExitCode.FAILED
    assert "exists already and is never overwritten" in capsys.readouterr().err


def test_a_bundle_is_signed_again_and_both_stand_in_the_log(tmp_path: Path, pki: Store) -> None:
    create(tmp_path, pki)
    release = support.make(tmp_path / "release", chosen=support.small(key=KeyType.ECDSA_P384))
    argv = ["--keyring", pki.keyring, "--signing-keyring", release.keyring, "--key", release.key("signer")]
    argv += ["--cert", release.certificate("signer"), "--intermediate", release.chain("signer")]
    made = tmp_path / "release.raucb"
    assert main(["bundle", "resign", str(tmp_path / "update.raucb"), str(made), *map(str, argv)]) == ExitCode.OK
    lines = [json.loads(line) for line in (tmp_path / "release-log.jsonl").read_text().splitlines()]
    assert [(line["what"], line["bundle"]) for line in lines] == [("create", "update.raucb"), ("resign", "release.raucb")]
    assert lines[1]["source"]["sha256"] == lines[0]["sha256"]
    assert main(["bundle", "verify", str(made), "--keyring", str(release.keyring)]) == ExitCode.OK
    assert main(["bundle", "verify", str(made), "--keyring", str(pki.keyring)]) == ExitCode.FINDINGS


def test_an_existing_bundle_is_refused_with_exit_code_2(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "update.raucb").write_text("mine")
    assert create(tmp_path, pki) == ExitCode.FAILED
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "update.raucb").read_text() == "mine"


def test_a_format_that_devices_refuse_is_said_before_anything_is_made(
    tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(tmp_path, pki, "--crypt") == ExitCode.FAILED
    assert "a bundle of the format verity is refused with the keyring" in capsys.readouterr().err


def test_a_revocation_list_that_devices_ask_for_and_do_not_have_is_missed_before_anything_is_signed(
    tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(tmp_path, pki, "--check-crl") == ExitCode.FAILED
    assert "signer is refused: there is no revocation list of 'CN=" in capsys.readouterr().err
