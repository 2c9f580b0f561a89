"""Certificates of a charger listed, checked and told when they end, by the command of the target (CERT-02, CERT-06, CERT-08)."""

import json
import os
import re
import shutil
import subprocess

import pytest

from support.certificates import Certified
from support.layer import Bench, contents
from support.provisioning import library_of, manual_of, program_of

pytestmark = pytest.mark.layer


@pytest.fixture
def charger(shop: Certified) -> Certified:
    return shop.with_store()


def test_the_recipe_installs_the_command_with_what_it_reads_and_its_manual(layer: Bench) -> None:
    package = layer.package("everest-cert")
    assert contents(package) == {
        **{f"/usr/lib/everest-secure/{name}.sh": 0o644 for name in ("certificates", "change-certificates", "check-certificates")},
        **{f"/usr/lib/everest-secure/{name}-certificates.awk": 0o644 for name in ("judge", "read", "show", "split")},
        "/usr/sbin/everest-cert": 0o755,
    }
    assert manual_of(layer, "everest-cert").is_file()
    assert "everest-tpm" in package.depends
    assert "everest-cert" in layer.package("packagegroup-everest-secure").depends


@pytest.mark.parametrize("user", ["root", "everest"])
def test_the_store_is_listed_and_found_right(charger: Certified, user: str) -> None:
    listed = charger.box.done("list", tpm=charger.tpm, user=user)
    assert f"{charger.box.store}/client/csms/CSMS_LEAF.pem\n  until " in listed
    assert f"serial {charger.serial('charger').lower()}" in listed
    assert listed.count("sha256") == 8
    assert charger.box.done("check", "csms", "secc", tpm=charger.tpm, user=user) == "8 certificates and 2 keys are right\n"
    assert charger.box.done("expiry", tpm=charger.tpm, user=user) == ""


@pytest.mark.parametrize(
    "words", [("list",), ("check",), ("install", "csms", "-"), ("revoke", "1"), ("expiry",)], ids=lambda words: words[0]
)
def test_another_user_is_told_whose_store_it_is(charger: Certified, words: tuple[str, ...]) -> None:
    done = charger.box.call(*words, tpm=charger.tpm, user="nobody")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "everest-cert: the keys belong to the user 'everest'; call it as that user or as root\n"


def test_programs_get_json(charger: Certified) -> None:
    listed = json.loads(charger.box.done("list", "--json", tpm=charger.tpm))
    assert len(listed) == 8
    (leaf,) = (each for each in listed if each["serial"] == charger.serial("charger").lower())
    assert (leaf["number"], leaf["use"], leaf["key"]) == (1, "csms", "EC 256")
    assert leaf["sha256"] == charger.digest("charger")
    assert json.loads(charger.box.done("check", "--json", tpm=charger.tpm)) == []
    soon = charger.box.call("expiry", "--days", "400", "--json", tpm=charger.tpm)
    assert (soon.returncode, len(json.loads(soon.stdout))) == (1, 8)


def test_faults_are_an_array_of_json_too(shop: Certified) -> None:
    charger = shop.with_store({"ca/mo/MO_ROOT_CA.pem": {"certificates": ["expired-root"]}})
    done = charger.box.call("check", "--json", tpm=charger.tpm)
    (fault,) = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (fault["file"], fault["reason"]) == (f"{charger.box.store}/ca/mo/MO_ROOT_CA.pem", "expired")
    assert fault["what"].startswith("'CN=expired-root' ended on ")


def test_what_ends_has_ended_or_cannot_be_read_is_said(shop: Certified) -> None:
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    charger = shop.with_store(
        {
            "ca/mo/ended.pem": {"certificates": ["expired-root"]},
            "ca/mo/ending.pem": {"certificates": ["ending-root", "v2g-root"]},
            "ca/mo/damaged.pem": {"text": damaged},
        }
    )
    done = charger.box.call("expiry", charger.box.store, tpm=charger.tpm)
    assert (done.returncode, done.stderr) == (1, "")
    place = f"{charger.box.store}/ca/mo"
    pattern = rf"{place}/damaged.pem \(cannot be read\) \n{place}/ended.pem \(\d{{4}}-\d\d-\d\d\) CN=expired-root\n"
    assert re.fullmatch(pattern + rf"{place}/ending.pem \(\d{{4}}-\d\d-\d\d\) CN=ending-root\n", done.stdout)
    few = charger.box.call("expiry", "--days", "5", charger.box.store, tpm=charger.tpm)
    assert "ending-root" not in few.stdout


def test_a_directory_that_nobody_can_look_into_is_no_good_news(charger: Certified) -> None:
    done = charger.box.call("expiry", "/nonexistent", tpm=charger.tpm)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("name", ["csms", "secc"])
def test_a_charger_without_a_chain_or_its_key_is_not_ready(shop: Certified, name: str) -> None:
    bare = shop.with_store(bare=True)
    assert bare.box.done("check", tpm=bare.tpm).endswith(" are right\n")
    done = bare.box.call("check", name, tpm=bare.tpm)
    assert done.returncode == 1
    assert done.stderr.endswith(f"there is no chain for {name} [no-certificate]\n")
    charger = shop.with_store()
    (charger.box.store / {"csms": "client/csms/CSMS_LEAF.tkey", "secc": "client/cso/SECC_LEAF.tkey"}[name]).unlink()
    done = charger.box.call("check", "csms", "secc", tpm=charger.tpm)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith(" [no-key]\n")


def test_a_key_of_another_tpm_is_found_out(shop: Certified) -> None:
    charger = shop.with_store()
    key = charger.box.store / "client/cso/SECC_LEAF.tkey"
    lines = key.read_text().splitlines()
    lines[4] = lines[4][:20] + ("A" if lines[4][20] != "A" else "B") + lines[4][21:]
    key.write_text("\n".join(lines) + "\n")
    done = charger.box.call("check", tpm=charger.tpm)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{key}: it cannot be used by this TPM: it is of another one, or the TPM was cleared [wrong-tpm]\n"


def test_without_a_tpm_keys_are_not_said_to_be_right(charger: Certified) -> None:
    done = charger.box.call("check", tpm=None)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert charger.box.call("list", tpm=None).returncode == 0


def test_a_store_at_the_limits_of_everest_is_full(charger: Certified) -> None:
    crowd = charger.box.store / "crowd"
    crowd.mkdir()
    for number in range(2000):
        (crowd / str(number)).touch()
    if os.geteuid() == 0:
        os.chown(crowd, 1500, 1500)
    crowd.chmod(0o700)
    done = charger.box.call("check", tpm=charger.tpm)
    assert (done.returncode, done.stderr) == (
        1,
        f"{charger.box.store}: it has reached its limits, where EVerest takes in nothing any more [full]\n",
    )
    refused = charger.box.call("install", "ca", "mo", charger.offer("other-root"), tpm=charger.tpm)
    assert refused.stderr.endswith("; revoke what is not used any more [full]\n")


def test_names_that_nobody_would_use_are_no_harm(shop: Certified) -> None:
    charger = shop.with_store()
    place = charger.box.store / "client/cso"
    os.mkfifo(place / "pipe.pem")
    (place / "loop.pem").symlink_to("loop.pem")
    (place / "up").symlink_to("..")
    (place / "a=b $(touch x).pem").write_bytes(shop.workshop.chain("secc", "sub2", "sub1"))
    if os.geteuid() == 0:
        for path in place.iterdir():
            os.chown(path, 1500, 1500, follow_symlinks=False)
    assert charger.box.done("check", tpm=charger.tpm) == "11 certificates and 2 keys are right\n"
    assert not list(charger.box.place.rglob("x"))
    (place / "a\nb.pem").write_bytes(shop.workshop.chain("secc"))
    assert charger.box.call("check", tpm=charger.tpm).stderr.endswith(" control characters, which are not looked at [unreadable]\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what belongs to somebody else")
def test_a_file_that_everest_may_not_read_is_not_passed_over(shop: Certified) -> None:
    charger = shop.with_store()
    root = charger.box.store / "ca/csms/CSMS_ROOT_CA.pem"
    os.chown(root, 0, 0)
    done = charger.box.call("check", tpm=charger.tpm)
    unread, untrusted = done.stderr.splitlines()
    assert (done.returncode, unread) == (1, f"{root}: certificate 1 of it cannot be read [unreadable]")
    assert untrusted.startswith(f"{charger.box.store}/client/csms/CSMS_LEAF.pem: ")
    assert untrusted.endswith(" [untrusted]")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("make",),
        ("list", "now"),
        ("list", "--days", "3"),
        ("check", "mo"),
        ("check", "--days"),
        ("check", "--days", "-1"),
        ("check", "--days", "1000000"),
        ("install",),
        ("install", "csms"),
        ("install", "ca", "secc", "x.pem"),
        ("install", "--key", "x.key", "ca", "csms", "x.pem"),
        ("install", "--days", "csms", "x.pem"),
        ("install", "--force", "csms", "x.pem"),
        ("install", "csms", "x.pem", "y.pem"),
        ("revoke",),
        ("revoke", "--force", "1"),
        ("revoke", "xyz"),
        ("revoke", ""),
        ("expiry", "--force"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(charger: Certified, words: tuple[str, ...]) -> None:
    done = charger.box.call(*words, tpm=None)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("everest-cert: ")
    assert done.stderr.endswith("; everest-cert --help shows what there is\n")


def test_help_names_every_command_and_every_exit_code(charger: Certified, layer: Bench) -> None:
    done = charger.box.call("--help", tpm=None, user="nobody" if os.geteuid() == 0 else "everest")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in ("list", "check", "install", "revoke", "expiry"))
    shared = (library_of(layer) / "certificate-store.sh").read_text()
    codes = re.search(r"^UNSOUND=(\d+) FAILED=(\d+) NO_TPM=(\d+) NOT_ALLOWED=(\d+) USAGE=(\d+)$", shared, re.MULTILINE)
    assert codes is not None
    assert re.findall(r"(?:: |; )(\d+) ", done.stdout) == ["0", *codes.groups()]


def test_the_manual_has_every_id_of_the_journal_and_every_reason(layer: Bench) -> None:
    manual = manual_of(layer, "everest-cert").read_text()
    identifiers = re.findall(r"^ID_\w+=([0-9a-f]{32})$", program_of(layer, "everest-cert").read_text(), re.MULTILINE)
    assert len(identifiers) == 2
    assert re.findall(r"\b[0-9a-f]{32}\b", manual) == identifiers
    text = "".join(path.read_text() for path in library_of(layer, "everest-cert").iterdir())
    reasons = {*re.findall(r'fault\("([a-z-]+)"', text), *re.findall(r'(?:fault|refuse) "\$\{\w+\}" ([a-z-]+) ', text)}
    section = manual.partition(".SH REASONS\n")[2].partition(".SH FILES\n")[0].replace("\\-", "-")
    assert len(reasons) > 20
    assert {reason for reason in reasons if not re.search(rf"(?<![a-z-]){reason}(?![a-z-])", section)} == set()


def test_the_manual_is_read_without_a_warning(layer: Bench) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    page = manual_of(layer, "everest-cert")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
