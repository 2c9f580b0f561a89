"""Expiry and revocation in the PKI of updates: RAUC-09. Bundles are rauc's, and rauc says of revoked ones what we do."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure import checks
from everest_secure.checks.core import Bundle, registered, run_check
from everest_secure.image.artefact import open_artefact
from everest_secure.result import CheckResult, Outcome
from support.authority import Pair, issue, revocation_list
from support.bundle import incompressible
from support.clock import other_time
from support.images import tool
from support.mutation import Mutation, check_mutation, sentence
from support.reference import require
from support.rootfs import RootFs, failing, good_root, production

CONF, KEYRING = "/etc/rauc/system.conf", "/etc/rauc/keyring.pem"
ROOT = issue("Release root", authority=True, days=3650)
MIDDLE = issue("Intermediate", by=ROOT, authority=True, days=3000)
SIGNER = issue("Signer", by=MIDDLE, days=700, key=rsa.generate_private_key(65537, 2048))
OTHER = issue("Release root", authority=True, days=3650)


def device(*keyring: str, lists: bool = True) -> RootFs:
    """Return a device with a keyring, which asks for revocation lists."""
    fs = good_root().file(KEYRING, "".join(keyring))
    return fs.replace(CONF, "^check-crl=false$", "check-crl=true") if lists else fs


MUTATIONS = [
    Mutation(
        "the authority ends within the year",
        "RAUC-09",
        lambda fs: fs.file(KEYRING, issue("Root", authority=True, days=300).pem),
    ),
    Mutation(
        "the bundle says as of when its signer is valid",
        "RAUC-09",
        lambda fs: fs.replace(CONF, "^(check-crl=.*)$", r"\1\nuse-bundle-signing-time=true"),
    ),
    Mutation("lists are wanted and there are none", "RAUC-09", lambda fs: fs.replace(CONF, "^check-crl=false$", "check-crl=true")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


LISTS = {
    "the list has ended": (revocation_list(ROOT, days=10, age=20), "no revocation list of 'CN=Release root' is valid now (it ended on"),
    "the list is not valid yet": (revocation_list(ROOT, age=-5), "no revocation list of 'CN=Release root' is valid now"),
    "the list ends within the week": (revocation_list(ROOT, days=6), "in less than 7 days"),
    "the list is another authority's": (revocation_list(OTHER), "there is no revocation list of 'CN=Release root'"),
    "the list is one of the intermediate": (revocation_list(MIDDLE), "there is no revocation list of 'CN=Release root'"),
}


@pytest.mark.parametrize("case", LISTS)
def test_a_keyring_does_not_last_when(case: str) -> None:
    text, wanted = LISTS[case]
    found = failing(device(ROOT.pem, text))
    assert set(found) == {"RAUC-09"}
    assert wanted in found["RAUC-09"][0]


def test_a_keyring_with_the_list_of_its_authority_lasts() -> None:
    assert failing(device(ROOT.pem, revocation_list(ROOT), revocation_list(MIDDLE))) == {}


def test_a_newer_list_makes_up_for_an_old_one() -> None:
    assert failing(device(ROOT.pem, revocation_list(ROOT, days=1, age=9), revocation_list(ROOT))) == {}


def test_without_the_question_for_lists_none_is_needed() -> None:
    assert failing(device(ROOT.pem, lists=False)) == {}


def test_a_damaged_list_is_an_error_and_no_pass() -> None:
    damaged = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    assert failing(device(ROOT.pem, damaged))["RAUC-09"][0].startswith("error: ")


def test_the_time_of_the_device_may_be_named() -> None:
    assert failing(good_root().replace(CONF, "^(check-crl=.*)$", r"\1\nuse-bundle-signing-time=false")) == {}


def bundle(directory: Path, signer: Pair, *roots: RootFs, middle: Pair = MIDDLE, days_ago: int = 0) -> Bundle:
    content = directory / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(incompressible(20_000))
    (content / "manifest.raucm").write_text(
        "[update]\ncompatible=everest-secure-qemux86-64\nversion=1.0\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    for name, text in {"cert": signer.pem, "key": signer.key_pem, "middle": middle.pem}.items():
        (directory / f"{name}.pem").write_text(text)
    files = [f"--{option}={directory}/{name}.pem" for option, name in (("cert", "cert"), ("key", "key"), ("intermediate", "middle"))]
    clock = other_time(f"-{days_ago}d") if days_ago else ()
    tool(*clock, "rauc", "bundle", *files, content, directory / "a.raucb")
    return Bundle(open_artefact(directory / "a.raucb"), tuple(fs.root for fs in roots))


def judged(subject: Bundle, check: str = "signers_last_and_none_is_revoked") -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.function.__name__ == check]
    return run_check(entry, subject, "b", production())


def rauc_accepts(directory: Path, keyring: str, *, setting: str = "check-crl=true") -> bool:
    """Ask rauc, which checks the lists of the keyring."""
    (directory / "keyring.pem").write_text(keyring)
    (directory / "system.conf").write_text(
        f"[system]\ncompatible=x\nbootloader=noop\n[keyring]\npath=keyring.pem\ncheck-purpose=codesign\n{setting}\n"
    )
    asked = ["rauc", "info", f"--conf={directory}/system.conf", f"{directory}/a.raucb"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


GOOD = (ROOT.pem, revocation_list(ROOT), revocation_list(MIDDLE))
BUNDLES = {
    "the signer is revoked": ((ROOT.pem, revocation_list(ROOT), revocation_list(MIDDLE, SIGNER)), "'CN=Signer' is revoked"),
    "the intermediate is revoked": ((ROOT.pem, revocation_list(ROOT, MIDDLE), revocation_list(MIDDLE)), "'CN=Intermediate' is revoked"),
    "the intermediate has no list": ((ROOT.pem, revocation_list(ROOT)), "there is no revocation list of 'CN=Intermediate'"),
    "the list of the intermediate has ended": (
        (ROOT.pem, revocation_list(ROOT), revocation_list(MIDDLE, days=2, age=9)),
        "no revocation list of 'CN=Intermediate' is valid now",
    ),
}


@pytest.mark.usefixtures("each_rauc")
def test_a_bundle_of_a_signer_that_nobody_revoked_lasts(tmp_path: Path) -> None:
    subject = bundle(tmp_path, SIGNER, device(*GOOD))
    assert judged(subject).outcome is Outcome.PASS
    assert judged(subject, "an_intermediate_issued_the_signer").outcome is Outcome.PASS
    assert rauc_accepts(tmp_path, "".join(GOOD))


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize("case", BUNDLES)
def test_rauc_refuses_as_we_do_a_bundle_when(case: str, tmp_path: Path) -> None:
    keyring, wanted = BUNDLES[case]
    result = judged(bundle(tmp_path, SIGNER, device(*keyring)))
    assert result.outcome is Outcome.FAIL
    assert any(wanted in finding.what for finding in result.findings), result.findings
    assert not rauc_accepts(tmp_path, "".join(keyring))


def test_a_signer_that_ends_within_the_month_is_found(tmp_path: Path) -> None:
    signer = issue("Signer", by=MIDDLE, days=20, key=SIGNER.key)
    (finding,) = judged(bundle(tmp_path, signer, device(*GOOD))).findings
    assert "'CN=Signer' ends on" in finding.what


def test_a_signer_of_the_root_itself_is_found(tmp_path: Path) -> None:
    signer = issue("Signer", by=ROOT, days=700, key=SIGNER.key)
    (finding,) = judged(bundle(tmp_path, signer, device(*GOOD)), "an_intermediate_issued_the_signer").findings
    assert finding.what == "'CN=Signer' was issued by the root 'CN=Release root' itself, whose key is then at hand for each new signer"


def test_a_revoked_signer_is_found_even_where_rauc_is_not_asked_for_lists(tmp_path: Path) -> None:
    fs = device(ROOT.pem, revocation_list(MIDDLE, SIGNER), lists=False)
    assert "is revoked" in judged(bundle(tmp_path, SIGNER, fs)).findings[0].what


def test_rauc_accepts_an_expired_signer_that_sets_its_clock_back_only_where_it_believes_the_bundle(tmp_path: Path) -> None:
    require("faketime")
    expired = issue("Signer", by=MIDDLE, days=30, age=60, key=SIGNER.key)
    old = issue("Release root", authority=True, days=3650, age=90, key=ROOT.key)
    middle = issue("Intermediate", by=old, authority=True, days=3000, age=90, key=MIDDLE.key)
    bundle(tmp_path, expired, days_ago=45, middle=middle)
    assert not rauc_accepts(tmp_path, old.pem, setting="check-crl=false")
    assert rauc_accepts(tmp_path, old.pem, setting="use-bundle-signing-time=true")
