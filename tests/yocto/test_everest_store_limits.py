"""How much the certificate store takes, what of it is cleaned away and what a full partition does to it, by libevse-security's own code (CERT-06, CERT-07)."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.authority import issue
from support.everest_charger import USER, Charger
from support.everest_code import Programs
from support.everest_store import (
    ABOVE,
    OTHER_LIMITS,
    ROOT,
    STORE,
    Conditions,
    certificate_hash,
    certified,
    contents,
    evse_store,
    install_leaf,
    install_root,
    pem,
)
from support.waiting import eventually

pytestmark = [
    pytest.mark.yocto,
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing"),
]

SECC = "client/cso"
ROOTS = "ca/csms/CSMS_ROOT_CA.pem"
ENTRIES, KEPT = 2000, 10
"""Limits of a build without other values."""
FULL = "CertificateStoreMaxLengthExceeded"
PLACE = "/etc/everest/certs"


def put(machine: Charger, name: str, text: str = "", *, size: int = 0) -> None:
    """Put a file of the service user's in the store; `size` bytes are not there, but count."""
    path = machine.place / STORE[1:] / name
    path.write_text(text)
    shutil.chown(path, USER.uid, USER.gid)
    if size:
        os.truncate(path, size)


def fill(machine: Charger, entries: int) -> None:
    """Put so many files in the store that it has `entries`."""
    there = len(contents(machine))
    for number in range(there, entries):
        put(machine, f"{SECC}/{there}-{number}.txt")


def names(machine: Charger) -> set[str]:
    """Return the files of the store that do more than fill it."""
    return {name for name in contents(machine) if not name.endswith(".txt")}


def put_expired(machine: Charger, count: int) -> None:
    """Put certificates in the store that have ended, the first as the last, each with its key."""
    for number in range(count):
        pair = issue(f"expired-{number:02}", by=ABOVE, age=40, days=30 - number)
        put(machine, f"{SECC}/expired-{number:02}.pem", pair.pem)
        put(machine, f"{SECC}/expired-{number:02}.key", pair.key_pem)


def expired(*numbers: int) -> set[str]:
    """Return the files of certificates that have ended."""
    return {f"{SECC}/expired-{number:02}.{suffix}" for number in numbers for suffix in ("pem", "key")}


def refuses(machine: Charger, program: Path) -> bool:
    """Whether a store refuses a root and a leaf that it asked for, as it is full, and stays as it was; else it takes both."""
    with evse_store(machine, program) as store:
        leaf = pem(certified(store.ask("SignCertificate", type="CSMS", tpm=False)), ABOVE.certificate)
        before = contents(machine)
        answers = [
            store.ask("InstallCertificate", type="CSMS", certificate=ROOT.pem),
            store.ask("CertificateSigned", type="CSMS", certificate=leaf),
        ]
    assert answers in ([FULL, FULL], ["Accepted", "Accepted"])
    assert (contents(machine) == before) == (answers == [FULL, FULL])
    return answers == [FULL, FULL]


def test_a_store_with_more_files_than_the_limit_takes_nothing_in(evse_security: Programs, machine: Charger) -> None:
    with evse_store(machine, evse_security.built) as store:
        install_root(store, "CSMS")
        fill(machine, ENTRIES)
        install_root(store, "CSMS", issue("last", authority=True))
    assert refuses(machine, evse_security.built)


@pytest.mark.parametrize(("sizes", "full"), [((30, 20), True), ((20, 30), True), ((30, 19), False)], ids=str)
def test_a_store_as_large_as_the_limit_takes_nothing_in(
    evse_security: Programs, machine: Charger, sizes: tuple[int, int], full: bool
) -> None:
    for name, mebibytes in zip(("a.txt", "z.txt"), sizes, strict=True):
        put(machine, f"{SECC}/{name}", size=mebibytes << 20)
    assert refuses(machine, evse_security.built) == full


def test_upstream_takes_the_size_of_a_file_for_that_of_the_store(evse_security: Programs, machine: Charger) -> None:
    for name in ("a.txt", "z.txt"):
        put(machine, f"{SECC}/{name}", size=49 << 20)
    assert not refuses(machine, evse_security.upstream)


def partition(blocks: int) -> Conditions:
    """Return how EvseSecurity runs with its store on a partition of its own that has some free blocks, and puts the store back when it ends."""
    begin = f"""
        cp -R {STORE}/. {PLACE}/ && dd if=/dev/zero of={PLACE}/rest bs=4096 2>/dev/null; truncate -s -{blocks * 4096} {PLACE}/rest
        "$@"; code=$?; rm {PLACE}/rest; rm -r {STORE}/*; cp -R {PLACE}/. {STORE}/; exit $code;"""
    return Conditions(("--perms", "0777", "--size", "1048576", "--tmpfs", PLACE), begin)


def test_roots_stay_when_another_finds_no_room_on_the_partition(evse_security: Programs, machine: Charger) -> None:
    other = issue("other", authority=True)
    with evse_store(machine, evse_security.built) as store:
        install_root(store, "CSMS")
    before = contents(machine)
    with evse_store(machine, evse_security.built, partition(0)) as store:
        assert store.ask("InstallCertificate", type="CSMS", certificate=other.pem) == "WriteError"
        assert len(store.ask("GetInstalledCertificateIds")) == 1
    assert contents(machine) == before
    with evse_store(machine, evse_security.built, partition(8)) as store:
        install_root(store, "CSMS", other)
        assert len(store.ask("GetInstalledCertificateIds")) == 2


def test_upstream_loses_all_roots_on_a_full_partition(evse_security: Programs, machine: Charger) -> None:
    with evse_store(machine, evse_security.upstream) as store:
        install_root(store, "CSMS")
    with evse_store(machine, evse_security.upstream, partition(0)) as store:
        install_root(store, "CSMS", issue("other", authority=True))
        assert store.ask("GetInstalledCertificateIds") == []
    assert contents(machine)[ROOTS] == b""


@pytest.mark.parametrize("blocks", [0, 1], ids=["no room", "room for the leaf alone"])
def test_the_leaf_in_use_stays_when_a_new_chain_finds_no_room(evse_security: Programs, machine: Charger, blocks: int) -> None:
    with evse_store(machine, evse_security.built) as store:
        install_leaf(store, "CSMS")
        used = store.ask("leaf", type="CSMS")
        request = store.ask("SignCertificate", type="CSMS", tpm=False)
    before = contents(machine)
    chain = pem(certified(request, days=700), ABOVE.certificate)
    with evse_store(machine, evse_security.built, partition(blocks)) as store:
        assert store.ask("CertificateSigned", type="CSMS", certificate=chain) == "WriteError"
        assert store.ask("leaf", type="CSMS") == used
    assert contents(machine) == before


def test_upstream_uses_a_leaf_without_its_chain_after_that(evse_security: Programs, machine: Charger) -> None:
    with evse_store(machine, evse_security.upstream) as store:
        install_leaf(store, "CSMS")
        request = store.ask("SignCertificate", type="CSMS", tpm=False)
    chain = pem(certified(request, days=700), ABOVE.certificate)
    with evse_store(machine, evse_security.upstream, partition(1)) as store:
        store.ask("CertificateSigned", type="CSMS", certificate=chain)
        assert store.ask("leaf", type="CSMS")["chain"] == ""


def clock(machine: Charger) -> Conditions:
    """Return how EvseSecurity runs with a clock of its own, which `later` puts forward."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    later(machine, 0)
    return Conditions(begin=f"export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE=/tmp/clock FAKETIME_NO_CACHE=1;")


def later(machine: Charger, minutes: int, *, speed: int = 1) -> None:
    """Put the clock so many minutes beyond this machine's; it goes so many times faster."""
    (machine.place / "tmp/clock").write_text(f"+{minutes}m x{speed}\n")


def test_what_nobody_needs_is_cleaned_away_from_a_full_store_alone(evse_security: Programs, machine: Charger) -> None:
    put_expired(machine, KEPT + 2)
    with evse_store(machine, evse_security.built, clock(machine)) as store:
        leaf = install_leaf(store, "V2G")
        store.ask("keep OCSP", hash=certificate_hash(leaf, ABOVE.certificate), response="response")
        put(machine, f"{SECC}/ocsp/gone.hash", "SHA256\n0a\n0b\n0c\n")
        put(machine, f"{SECC}/ocsp/gone.der", "response")
        before = names(machine)
        store.ask("SignCertificate", type="V2G", tpm=False)
        (asked,) = names(machine) - before
        store.ask("clean")
        assert names(machine) == before | {asked}
        fill(machine, ENTRIES + 1)
        store.ask("clean")
        # Besides the eight newest of these there are the leaf and its chain.
        kept = before - expired(8, 9, 10, 11) - {f"{SECC}/ocsp/gone.hash", f"{SECC}/ocsp/gone.der"}
        assert names(machine) == kept | {asked}
        fill(machine, ENTRIES + 1)
        later(machine, 50)
        store.ask("clean")
        assert names(machine) == kept | {asked}
        later(machine, 70)
        store.ask("clean")
        assert names(machine) == kept


@pytest.mark.parametrize("ours", [False, True], ids=["upstream", "built"])
def test_a_key_in_use_stays_wherever_the_keys_lie_and_upstream_takes_it_for_one_without_a_certificate(
    evse_security: Programs, machine: Charger, ours: bool
) -> None:
    apart = {"secc_leaf_key_directory": "client/keys"}
    with evse_store(machine, evse_security.built if ours else evse_security.upstream, replace(clock(machine), settings=apart)) as store:
        install_leaf(store, "V2G")
        fill(machine, ENTRIES + 1)
        store.ask("clean")
        later(machine, 70)
        store.ask("clean")
        assert (store.ask("leaf", type="V2G") is not None) == ours


def test_a_full_store_is_cleaned_again_and_again_without_being_asked(evse_security: Programs, machine: Charger) -> None:
    fill(machine, ENTRIES + 1)
    conditions = clock(machine)
    later(machine, 0, speed=1200)  # twenty minutes are a second
    with evse_store(machine, evse_security.built, conditions) as store:
        eventually(lambda: store.log.read_text().count("Starting garbage collect!") > 1, store.log.read_text)


def test_a_build_has_the_limits_that_the_product_sets(evse_securities: list[Path], machine: Charger) -> None:
    entries, minutes = (int(OTHER_LIMITS[f"EVEREST_{name}"]) for name in ("CERT_STORE_ENTRIES", "CSR_EXPIRY_MINUTES"))
    put_expired(machine, 3)
    with evse_store(machine, evse_securities[2], clock(machine)) as store:
        install_root(store, "CSMS")
        before = names(machine)
        store.ask("SignCertificate", type="V2G", tpm=False)
        (asked,) = names(machine) - before
        fill(machine, entries)
        install_root(store, "CSMS")
        fill(machine, entries + 1)
        assert store.ask("InstallCertificate", type="CSMS", certificate=ROOT.pem) == FULL
        store.ask("clean")
        assert names(machine) == before - expired(2) | {asked}
        fill(machine, entries + 1)
        later(machine, 2 * minutes)
        store.ask("clean")
        assert names(machine) == before - expired(2)
        put(machine, f"{SECC}/large.txt", size=1 << 20)
        assert store.ask("InstallCertificate", type="CSMS", certificate=ROOT.pem) == FULL
