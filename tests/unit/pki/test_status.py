import io
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from everest_secure.pki import render, status
from everest_secure.pki.errors import PkiError
from everest_secure.pki.status import KeyPlace
from everest_secure.pki.store import Store
from support import pki as support


def test_a_new_pki_is_in_order_and_listed_from_root_to_signer(shared_pki: Store) -> None:
    found = status.read(shared_pki.directory, now=support.now())
    assert found.problems == ()
    assert [(entry.name, entry.issuer) for entry in found.certificates] == [
        ("root", None),
        ("intermediate", "root"),
        ("signer", "intermediate"),
        ("secure-boot-db", None),
        ("secure-boot-kek", None),
        ("secure-boot-pk", None),
    ]
    assert all(entry.development and entry.key_place is KeyPlace.FILE and not entry.expires_soon for entry in found.certificates)


def test_a_root_key_taken_off_line_is_in_order(pki: Store) -> None:
    pki.key("root").unlink()
    found = status.read(pki.directory, now=support.now())
    assert found.problems == ()
    assert found.certificates[0].key_place is KeyPlace.ELSEWHERE


def test_encrypted_keys_are_told_from_plain_ones(shared_release: Store) -> None:
    found = status.read(shared_release.directory, now=support.now())
    assert {entry.key_place for entry in found.certificates} == {KeyPlace.ENCRYPTED_FILE}
    assert not any(entry.development for entry in found.certificates)


def test_a_key_that_others_can_read_is_a_problem(pki: Store) -> None:
    pki.key("signer").chmod(0o640)
    assert status.read(pki.directory, now=support.now()).problems == ("signer: its key has mode 0640; chmod it to 0600",)


def test_a_directory_that_others_can_enter_is_a_problem(pki: Store) -> None:
    pki.directory.chmod(0o755)
    assert [problem.split(" is ")[1] for problem in status.read(pki.directory, now=support.now()).problems] == [
        "open to other users; chmod it to 0700"
    ]


def test_a_key_in_a_file_and_one_on_a_token_are_one_too_many(pki: Store) -> None:
    pki.key_uri("signer").write_text("pkcs11:token=release;object=signer\n")
    assert [problem.partition(",")[0] for problem in status.read(pki.directory, now=support.now()).problems] == ["signer: it has two keys"]


def test_a_uri_that_is_none_and_a_key_without_a_certificate_are_problems(pki: Store) -> None:
    pki.key("signer").unlink()
    pki.key_uri("signer").write_text("pkcs11:token=release?pin-value=123456\n")
    pki.key("stray").write_bytes(pki.key("root").read_bytes())
    found = status.read(pki.directory, now=support.now()).problems
    assert ["does not say where its key is" in found[0], "belongs to no certificate here" in found[1], "123456" in "".join(found)] == [
        True,
        True,
        False,
    ]


def test_a_swapped_key_is_a_problem(pki: Store) -> None:
    pki.key("signer").write_bytes(pki.key("root").read_bytes())
    assert status.read(pki.directory, now=support.now()).problems == ("signer: its key does not belong to it",)


def test_a_certificate_without_its_issuer_is_a_problem(pki: Store) -> None:
    pki.certificate("intermediate").unlink()
    pki.key("intermediate").unlink()
    assert status.read(pki.directory, now=support.now()).problems == ("signer: the certificate of its issuer is not here",)


def test_expiry_is_announced_and_then_a_problem(shared_pki: Store) -> None:
    soon = status.read(shared_pki.directory, now=support.now() + timedelta(days=330))
    assert [entry.name for entry in soon.certificates if entry.expires_soon] == ["signer"]
    assert soon.problems == ()
    late = status.read(shared_pki.directory, now=support.now() + timedelta(days=370))
    assert [problem.split(" on ")[0] for problem in late.problems] == ["signer: it expired"]


def test_a_directory_without_certificates_is_refused(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PkiError, match="everest-secure pki init"):
            status.read(directory, now=support.now())


def test_a_person_sees_the_tree_and_the_problems(pki: Store) -> None:
    pki.key("signer").chmod(0o644)
    written = io.StringIO()
    render.show(status.read(pki.directory, now=support.now()), console=Console(file=written, width=120))
    lines = written.getvalue().splitlines()
    assert lines[1].startswith("root ")
    assert lines[2].startswith("  intermediate ")
    assert lines[3].startswith("    signer ")
    assert lines[-1] == "problem: signer: its key has mode 0644; chmod it to 0600"
