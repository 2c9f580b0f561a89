from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from everest_secure.pki.marking import DEVELOPMENT
from support.authority import issue
from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.rootfs import UNITS, RootFs, failing, good_root, keyring, production

CONF = "/etc/rauc/system.conf"
KEYRING = "/etc/rauc/keyring.pem"
OURS = "/etc/dbus-1/system.d/everest-rauc.conf"
ROOT = issue("Release root", authority=True, days=3650)

MUTATIONS = [
    Mutation(
        "the service reads another system.conf",
        "RAUC-01",
        lambda fs: (
            fs.file("/etc/rauc/b.conf", "").file("/etc/rauc/b.conf", fs.nodes[CONF][1].replace(b"=verity", b"=plain")),
            fs.file(f"{UNITS}/rauc.service", "[Service]\nExecStart=/usr/bin/rauc --conf=/etc/rauc/b.conf service\n"),
        ),
    ),
    Mutation(
        "the service trusts another keyring",
        "RAUC-02",
        lambda fs: fs.file(f"{UNITS}/rauc.service", "[Service]\nExecStart=/usr/bin/rauc --keyring=/etc/x.pem service\n"),
    ),
    Mutation(
        "a directory of keys is trusted besides the keyring",
        "RAUC-02",
        lambda fs: (fs.replace(CONF, "^path=", "directory=keys\npath="), fs.file("/etc/rauc/keys/0.0", ROOT.pem)),
    ),
    Mutation("the keyring is a link to the data partition", "RAUC-02", lambda fs: move_behind(fs, KEYRING)),
    Mutation("system.conf is a link to the data partition", "RAUC-01", lambda fs: move_behind(fs, CONF)),
    Mutation(
        "the bus reads another configuration",
        "RAUC-04",
        lambda fs: (
            fs.append(f"{UNITS}/dbus.service", "ExecStart=\nExecStart=/usr/bin/dbus-daemon --config-file=/etc/b.conf\n"),
            fs.file("/etc/b.conf", "<busconfig><policy context='default'><allow send_destination='*'/></policy></busconfig>"),
        ),
    ),
    Mutation("system.conf is missing", "RAUC-01", lambda fs: fs.remove(CONF), also=("RAUC-02", "RAUC-05", "RAUC-08", "RAUC-09")),
    Mutation("bundle formats are left to the default", "RAUC-01", lambda fs: fs.replace(CONF, "^bundle-formats=.*$", "")),
    Mutation("plain bundles are accepted", "RAUC-01", lambda fs: fs.replace(CONF, "^bundle-formats=.*$", "bundle-formats=plain verity")),
    Mutation("only another format is taken out", "RAUC-01", lambda fs: fs.replace(CONF, "^bundle-formats=.*$", "bundle-formats=-crypt")),
    Mutation("the purpose is left to the default", "RAUC-01", lambda fs: fs.replace(CONF, "^check-purpose=.*$", "")),
    Mutation("any purpose is accepted", "RAUC-01", lambda fs: fs.replace(CONF, "=codesign", "=any")),
    Mutation("partial chains are accepted", "RAUC-01", lambda fs: fs.replace(CONF, "^(check-purpose)", r"allow-partial-chain=true\n\1")),
    Mutation("the status is kept in the slots", "RAUC-01", lambda fs: fs.replace(CONF, "^data-directory=.*$", "")),
    Mutation("the status is kept on the read-only root", "RAUC-01", lambda fs: fs.replace(CONF, "=/var/lib/rauc", "=/etc/rauc")),
    Mutation("there is one slot to boot", "RAUC-01", lambda fs: fs.replace(CONF, "^bootname=B$", "")),
    Mutation(
        "the slot beside the one to boot is for rescue",
        "RAUC-01",
        lambda fs: fs.replace(CONF, r"^\[slot\.rootfs\.1\]$", "[slot.rescue.0]").replace(CONF, "^parent=rootfs.1$", "parent=rescue.0"),
    ),
    Mutation(
        "one of the two slots is never written",
        "RAUC-01",
        lambda fs: fs.replace(CONF, r"^(\[slot\.rootfs\.1\])$", r"\1\nreadonly=true"),
    ),
    Mutation("both slots have one name", "RAUC-01", lambda fs: fs.replace(CONF, "^bootname=B$", "bootname=A")),
    Mutation("two slots share a partition", "RAUC-01", lambda fs: fs.replace(CONF, "rootfs-b", "rootfs-a")),
    Mutation("the keyring holds two authorities", "RAUC-02", lambda fs: fs.append(KEYRING, ROOT.pem)),
    Mutation(
        "the keyring holds an intermediate",
        "RAUC-02",
        lambda fs: fs.file(KEYRING, issue("Intermediate", by=ROOT, authority=True, days=3650).pem),
    ),
    Mutation("the keyring holds a signer", "RAUC-02", lambda fs: fs.file(KEYRING, issue("Signer", days=3650).pem)),
    Mutation("the keyring is empty", "RAUC-02", lambda fs: fs.file(KEYRING, ""), also=("RAUC-09",)),
    Mutation(
        "the authority has expired",
        "RAUC-02",
        lambda fs: fs.file(KEYRING, issue("Old root", authority=True, days=1, age=10).pem),
        also=("RAUC-09",),
    ),
    Mutation(
        "the authority is one for development",
        "RAUC-02",
        lambda fs: fs.file(KEYRING, issue("Root", authority=True, unit=DEVELOPMENT, days=3650).pem),
    ),
    Mutation(
        "a signing key lies beside the keyring",
        "RAUC-02",
        lambda fs: fs.file("/etc/rauc/sign.pem", ROOT.key_pem, mode=0o600),
        also=("FS-06",),
    ),
    Mutation("only RAUC's own bus policy is there", "RAUC-04", lambda fs: fs.remove(OURS)),
    Mutation("another user may call", "RAUC-04", lambda fs: fs.replace(OURS, 'user="everest"', 'user="mosquitto"')),
    Mutation(
        "a group may call",
        "RAUC-04",
        lambda fs: fs.replace(
            OURS, "</busconfig>", '<policy group="dialout"><allow send_destination="de.pengutronix.rauc"/></policy></busconfig>'
        ),
    ),
    Mutation(
        "everyone may call one method",
        "RAUC-04",
        lambda fs: fs.replace(
            OURS,
            "</busconfig>",
            '<policy context="mandatory"><allow send_destination="de.pengutronix.rauc" send_member="InstallBundle"/></policy></busconfig>',
        ),
    ),
    Mutation(
        "everyone may call everything",
        "RAUC-04",
        lambda fs: fs.replace(OURS, "</busconfig>", '<policy context="mandatory"><allow send_destination="*"/></policy></busconfig>'),
    ),
    Mutation(
        "a file that is read later lets everyone call",
        "RAUC-04",
        lambda fs: fs.file(
            "/etc/dbus-1/system.d/zz.conf",
            '<busconfig><policy context="default"><allow send_destination="de.pengutronix.rauc" send_interface="de.pengutronix.rauc.Installer"/></policy></busconfig>',
        ),
    ),
    Mutation(
        "the rule of a session's bus lets everyone call",
        "RAUC-04",
        lambda fs: fs.file(
            "/etc/dbus-1/system.d/zz.conf",
            '<busconfig><policy context="default"><allow send_destination="*" eavesdrop="true"/></policy></busconfig>',
        ),
    ),
    Mutation(
        "everyone who does not sit at the charger may call",
        "RAUC-04",
        lambda fs: fs.file(
            "/etc/dbus-1/system.d/zz.conf",
            '<busconfig><policy at_console="false"><allow send_destination="de.pengutronix.rauc"/></policy></busconfig>',
        ),
    ),
    Mutation("nobody but root may call", "RAUC-04", lambda fs: fs.replace(OURS, '<policy user="everest">', '<policy user="nobody-here">')),
    Mutation("the bus has no configuration", "RAUC-04", lambda fs: fs.remove("/usr/share/dbus-1/system.conf")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def in_directory(name: str) -> RootFs:
    """Return a root whose keyring is a directory with the one authority."""
    fs = good_root()
    fs.replace(CONF, "^path=.*$", "directory=keys").file(f"/etc/rauc/keys/{name}", keyring())
    return fs.remove(KEYRING)


def test_a_directory_that_openssl_rehashed_is_one_authority_and_one_that_nobody_did_is_none() -> None:
    assert failing(in_directory("release.pem").link("/etc/rauc/keys/0a1b2c3d.0", "release.pem")) == {}
    assert failing(in_directory("release.pem"))["RAUC-02"] == ("the keyring holds 0 certificates instead of the release authority alone",)


def test_a_keyring_that_rauc_cannot_load_is_an_error_and_no_pass() -> None:
    found = failing(good_root().file(KEYRING, ROOT.certificate.public_bytes(Encoding.DER)))
    assert set(found) == {"RAUC-02", "RAUC-09"}
    assert "is a keyring in DER, which RAUC does not load" in found["RAUC-02"][0]


def test_a_slot_for_rescue_beside_two_to_boot_holds() -> None:
    fs = good_root()
    fs.append(CONF, "\n[slot.rescue.0]\ndevice=/dev/disk/by-partlabel/rescue\nbootname=R\nreadonly=true\n")
    assert failing(fs) == {}


def test_a_missing_keyring_is_an_error_of_the_device_and_no_pass() -> None:
    fs = good_root()
    fs.remove(KEYRING)
    assert set(failing(fs)) == {"RAUC-02", "RAUC-09"}


def test_a_damaged_certificate_in_the_keyring_is_an_error() -> None:
    fs = good_root()
    fs.file(KEYRING, keyring().replace("MII", "AAA", 1))
    assert failing(fs)["RAUC-02"][0].startswith("error: ")


def test_a_development_profile_accepts_the_development_authority() -> None:
    fs = good_root()
    fs.file(KEYRING, issue("Root", authority=True, unit=DEVELOPMENT, days=3650).pem)
    assert not failing(fs, replace(production(), development_authorities=True))


def test_bus_policy_that_declares_entities_is_refused() -> None:
    fs = good_root()
    fs.file(OURS, '<!DOCTYPE x [<!ENTITY a "aaaa">]><busconfig>&a;</busconfig>')
    assert failing(fs)["RAUC-04"][0].startswith("error: ")
