"""Commands that change a PKI, killed at any time and on a full disk: no key is lost, nothing is half there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.pki import certificates, inventory, keys, lifecycle, status
from everest_secure.pki.lifecycle import KeyWish
from everest_secure.pki.store import Store
from support import pki as support
from support.interrupting import delays, duration, fill, killed, small_disk
from support.softhsm import MODULE, PIN, SoftHsm

ROUNDS = 8
PROFILE = """\
summary: A small PKI
organization: Test
development: true
encrypted_keys: false
keyring: [root]
certificates:
  root: {common_name: Root, usage: authority, path_length: 0, key: ecdsa-p256, validity_days: 100}
  signer: {common_name: Signer, usage: bundle-signing, key: ecdsa-p256, validity_days: 80, issuer: root}
"""


def public_keys(pki: Store) -> set[bytes]:
    """Every private key that lies anywhere in the directory under its name or as retired, by its public half."""
    paths = [*pki.directory.glob("*.key.pem"), *(pki.directory / "retired").glob("*.key.pem")]
    return {keys.public_pem(keys.load(path).public_key()) for path in paths}


def require_whole(pki: Store) -> None:
    """Each certificate has its key, each is in the log once, and all that was certified has its key still."""
    assert main(["pki", "status", str(pki.directory)]) == ExitCode.OK
    found = inventory.read(pki.directory)
    held = [entry.certificate for entry in found.entries.values()] + [each for retired in found.retired.values() for each in retired]
    assert {keys.public_pem(each.public_key()) for each in held} <= public_keys(pki)
    logged = [json.loads(line) for line in pki.log.read_text().splitlines()]
    assert sorted(f"{each.serial_number:x}" for each in held) == sorted(
        line["serial"] for line in logged if line["what"] in ("init", "renew", "rotate")
    )


@pytest.mark.parametrize("argv", [("rotate", "signer"), ("renew", "signer", "--new-key")])
def test_a_command_that_is_killed_at_any_time_leaves_all_of_its_work_or_nothing(pki: Store, argv: tuple[str, ...]) -> None:
    name, *rest = argv
    whole = ("pki", name, str(pki.directory), *rest)
    takes, unfinished = duration(*whole), 0
    assert len(public_keys(pki)) == 7
    for delay in delays(takes, name, rounds=ROUNDS):
        before = public_keys(pki)
        unfinished += killed(delay, *whole)
        require_whole(pki)
        assert before <= public_keys(pki)
    assert unfinished
    duration(*whole)
    require_whole(pki)
    assert [path.name for path in pki.directory.iterdir() if path.name.startswith(".")] == []


def test_an_init_that_is_killed_at_any_time_leaves_a_whole_directory_or_none(tmp_path: Path) -> None:
    profile = tmp_path / "small.yml"
    profile.write_text(PROFILE)
    takes, unfinished = duration("pki", "init", str(tmp_path / "measured"), "--profile", str(profile)), 0
    for attempt, delay in enumerate(delays(takes, "init", rounds=ROUNDS)):
        made = tmp_path / f"{attempt}"
        unfinished += killed(delay, "pki", "init", str(made), "--profile", str(profile))
        assert not made.exists() or main(["pki", "status", str(made)]) == ExitCode.OK
    assert unfinished


def test_a_key_that_a_killed_command_left_on_its_token_is_found_and_used_by_the_next(
    pki: Store, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command does that is killed between the making of the key and the certificate."""
    del hsm
    monkeypatch.setenv("TOKEN_PIN", PIN)
    rotate = ["pki", "rotate", str(pki.directory), "signer", "--pkcs11-module", str(MODULE), "--pin-env", "TOKEN_PIN", "--on-token"]
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "sign", lambda *_args, **_options: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main([*rotate, "pkcs11:token=release"]) == ExitCode.FAILED
    require_whole(pki)
    assert main([*rotate, "pkcs11:token=release"]) == ExitCode.FAILED
    assert "holds a key 'signer-2' already, which is never overwritten; use that one by its URI" in capsys.readouterr().err
    assert main([*rotate, "pkcs11:token=release;object=signer-2"]) == ExitCode.OK
    assert support.verify(pki, "signer-2", keyring=pki.keyring) == ""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", mib=1) as made:
        yield made


def test_on_a_full_disk_everything_is_as_it_was_and_one_sentence_says_so(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The disk has room for one more page each time, so that every file of the change is once the one that does not fit."""
    pki = support.make(disk / "pki")
    before = {path.name: path.read_bytes() for path in pki.directory.iterdir()}
    refused = 0
    for pages in range(20):
        fill(disk, free=pages * 4096)
        capsys.readouterr()
        if main(["pki", "rotate", str(pki.directory), "signer"]) == ExitCode.OK:
            break
        refused += 1
        assert "No space left on device; check the path, its permissions and the free space\n" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in pki.directory.iterdir()} == before
    assert refused >= 4  # key, certificate, chain, log
    assert status.read(pki.directory, now=support.now()).problems == ()


def test_an_interrupt_from_the_keyboard_leaves_everything_as_it_was(pki: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(path.name for path in pki.directory.iterdir())
    monkeypatch.setattr(lifecycle, "_add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        lifecycle.rotate(pki.directory, "signer", access=support.access(), now=support.now(), wish=KeyWish())
    assert sorted(path.name for path in pki.directory.iterdir()) == before
