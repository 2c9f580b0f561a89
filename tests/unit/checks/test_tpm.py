from collections.abc import Callable
from dataclasses import replace

import pytest

from everest_secure import checks
from everest_secure.checks.core import Root, registered, run_check
from everest_secure.checks.stand_in import MARK
from everest_secure.image.artefact import Artefact
from everest_secure.result import Outcome
from support.authority import issue
from support.charger import program
from support.mutation import Mutation, check_mutation, sentence
from support.ocpp import key, variable
from support.rootfs import UNITS, RootFs, failing, good_root, production

MODULE = "/usr/lib/ossl-modules/tpm2.so"
PROGRAM = "/usr/libexec/everest/modules/EvseSecurity/EvseSecurity"
RULES = "/usr/lib/udev/rules.d/60-tpm-udev.rules"
POLICY = "/etc/everest/openssl.cnf"
BROKER = f"{UNITS}/tpm2-abrmd.service.d/50-everest-tpm-broker.conf"
TPM_KEY = "-----BEGIN TSS2 PRIVATE KEY-----\nMIHwBgZngQUKAQOgAwEBAAIEQAAA\n-----END TSS2 PRIVATE KEY-----\n"
"""A header and base64, as of a key that only one TPM can load."""
KEY = issue("charger").key_pem


def installed(version: str) -> Callable[[RootFs], RootFs]:
    return lambda fs: fs.file("/var/lib/dpkg/status", f"Package: tpm2-openssl\nStatus: install ok installed\nVersion: {version}\n")


def stored(content: str, name: str = "/etc/everest/certs/client/csms/CSMS_LEAF.tkey") -> Callable[[RootFs], RootFs]:
    return lambda fs: fs.file(name, content, mode=0o600, uid=1500, gid=1500)


MUTATIONS = [
    Mutation("the package is older", "TPM-01", installed("1.1.1-1")),
    Mutation("the package is a candidate of the release", "TPM-01", installed("1.2.0~rc1-1")),
    Mutation("the package was built from a checkout without a version", "TPM-01", installed("git-r0")),
    Mutation("the provider says that it is older", "TPM-01", lambda fs: fs.file(MODULE, program("TPM 2.0 Provider", "1.1.1"))),
    Mutation("the provider is not installed", "TPM-01", lambda fs: fs.remove(MODULE), also=("TPM-03",)),
    Mutation("EvseSecurity knows no TPM", "TPM-02", lambda fs: fs.file(PROGRAM, program("?provider=default"), mode=0o755)),
    Mutation("EvseSecurity is not installed", "TPM-02", lambda fs: fs.remove(PROGRAM)),
    Mutation("EvseSecurity is a script", "TPM-02", lambda fs: fs.file(PROGRAM, "#!/bin/sh\n# provider=tpm2\n", mode=0o755)),
    Mutation("the TCTI of the device is missing", "TPM-03", lambda fs: fs.remove("/usr/lib/libtss2-tcti-device.so.0.0.0")),
    Mutation("the TCTI of the resource manager is missing", "TPM-03", lambda fs: fs.remove("/usr/lib/libtss2-tcti-tabrmd.so.0.0.0")),
    Mutation("no udev rule is there", "TPM-03", lambda fs: fs.remove(RULES)),
    Mutation("the device node belongs to root", "TPM-03", lambda fs: fs.replace(RULES, 'GROUP="tss"', 'GROUP="root"')),
    Mutation("everybody may use the TPM", "TPM-03", lambda fs: fs.replace(RULES, 'MODE="0660"', 'MODE="0666"')),
    Mutation(
        "a rule of the product takes the node away",
        "TPM-03",
        lambda fs: fs.file("/etc/udev/rules.d/90-own.rules", 'KERNEL=="tpmrm0", GROUP="root"\n'),
    ),
    Mutation(
        "everybody may have the TPM for himself",
        "TPM-03",
        lambda fs: fs.file("/etc/udev/rules.d/90-own.rules", 'KERNEL=="tpm[0-9]*", MODE="0666"\n'),
    ),
    Mutation(
        "a command of a rule opens the node, which udev names",
        "TPM-03",
        lambda fs: fs.file("/etc/udev/rules.d/90-own.rules", 'SUBSYSTEM=="tpmrm", RUN+="/bin/chmod 0666 $devnode"\n'),
    ),
    Mutation(
        "a command of a rule opens the node, by a shell and its kernel name",
        "TPM-03",
        lambda fs: fs.file("/etc/udev/rules.d/90-own.rules", 'KERNEL=="tpm*", RUN+="/bin/sh -c \'chmod a+rw /dev/%k\'"\n'),
    ),
    Mutation(
        "EVerest asks a simulator that it was once tried with",
        "TPM-03",
        lambda fs: fs.append(
            f"{UNITS}/everest.service.d/50-everest-secure.conf", "[Service]\nEnvironment=TPM2OPENSSL_TCTI=swtpm:port=2321\n"
        ),
    ),
    Mutation(
        "EVerest goes around the resource manager",
        "TPM-03",
        lambda fs: fs.append(
            f"{UNITS}/everest.service.d/50-everest-secure.conf", "[Service]\nEnvironment=TPM2OPENSSL_TCTI=device:/dev/tpm0\n"
        ),
    ),
    Mutation("the rule is of another device", "TPM-03", lambda fs: fs.replace(RULES, r"tpmrm\[0-9\]\*", "tpm[0-9]*")),
    Mutation("the rules are masked", "TPM-03", lambda fs: fs.link("/etc/udev/rules.d/60-tpm-udev.rules", "/dev/null")),
    Mutation(
        "the resource manager is not enabled",
        "TPM-03",
        lambda fs: fs.remove("/etc/systemd/system/multi-user.target.wants/tpm2-abrmd.service"),
    ),
    Mutation("the resource manager is masked", "TPM-03", lambda fs: fs.link("/etc/systemd/system/tpm2-abrmd.service", "/dev/null")),
    Mutation("the resource manager takes the TPM for itself", "TPM-03", lambda fs: fs.remove(BROKER)),
    Mutation(
        "the resource manager is another TPM's",
        "TPM-03",
        lambda fs: fs.replace(BROKER, "--tcti=device:/dev/tpmrm0", "--tcti swtpm:port=2321"),
    ),
    Mutation("2.x makes the key towards the CSMS in a file", "TPM-04", variable("InternalCtrlr", "UseTPM", False)),
    Mutation("2.x says nothing of the TPM", "TPM-04", variable("InternalCtrlr", "UseTPM", None)),
    Mutation("2.x makes the key towards vehicles in a file", "TPM-04", variable("InternalCtrlr", "UseTPMSeccLeafCertificate", False)),
    Mutation("1.6 makes the key towards the CSMS in a file", "TPM-04", key("Internal", "UseTPM", False)),
    Mutation("1.6 says nothing of the key towards vehicles", "TPM-04", key("Internal", "UseTPMSeccLeafCertificate", None)),
    Mutation("a key that is called a TPM's is one of software", "TPM-04", stored(KEY), also=("FS-06",)),
    Mutation(
        "a key of the data partition is one of software",
        "TPM-04",
        stored(KEY, "/var/lib/everest/certs/client/cso/SECC.key"),
        also=("FS-06",),
    ),
    Mutation(
        "an elliptic curve's key in its own form is one of software",
        "TPM-04",
        stored("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtL\n-----END EC PRIVATE KEY-----\n"),
        also=("FS-06",),
    ),
    Mutation("the TPM's provider is not named", "TPM-05", lambda fs: fs.replace(POLICY, "^tpm2 = .*$", "")),
    Mutation("the default provider is not activated", "TPM-05", lambda fs: fs.replace(POLICY, "^activate = 1$", "")),
    Mutation("the default provider is switched off", "TPM-05", lambda fs: fs.replace(POLICY, "^activate = 1$", "activate = 0")),
    Mutation("nothing names the providers", "TPM-05", lambda fs: fs.replace(POLICY, "^providers = .*$", "")),
    Mutation("everything is sent to the TPM", "TPM-05", lambda fs: fs.replace(POLICY, r"\?provider=default$", "?provider=tpm2")),
    Mutation(
        "the TPM is woken and nothing is preferred",
        "TPM-05",
        lambda fs: fs.replace(POLICY, "^identity = tpm2$", "identity = tpm2\nactivate = 0").replace(
            POLICY, "^default_properties = .*$", ""
        ),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("version", ["1.2.0", "1.2.0-1+b2", "1:1.3.0-r0", "1.10.0-1"])
def test_later_packages_hold(version: str) -> None:
    assert not failing(installed(version)(good_root()))


def test_a_provider_of_which_nothing_says_the_version_is_an_error() -> None:
    found = failing(good_root().file(MODULE, program("TPM 2.0 Provider")))
    assert set(found) == {"TPM-01"}
    assert found["TPM-01"][0].startswith("error: ")


def test_libevse_security_may_be_a_library_of_its_own() -> None:
    fs = good_root().file(PROGRAM, program("a"), mode=0o755).file("/usr/lib/libevse_security.so.1", program("?provider=tpm2"))
    assert not failing(fs)


def test_both_providers_may_be_awake_when_the_default_one_is_preferred() -> None:
    assert not failing(good_root().replace(POLICY, "^identity = tpm2$", "identity = tpm2\nactivate = 1"))


@pytest.mark.parametrize("tcti", ["tabrmd", "tabrmd:bus_name=com.intel.tss2.Tabrmd", "libtss2-tcti-tabrmd.so.0", "device:/dev/tpmrm0"])
def test_a_resource_manager_may_be_named(tcti: str) -> None:
    fs = good_root().append(f"{UNITS}/everest.service.d/50-everest-secure.conf", f"[Service]\nEnvironment=TPM2OPENSSL_TCTI={tcti}\n")
    assert not failing(fs)


def test_a_command_of_a_rule_for_another_device_leaves_the_tpm_alone() -> None:
    assert not failing(good_root().file("/etc/udev/rules.d/90-own.rules", 'SUBSYSTEM=="gpio", RUN+="/bin/chmod 0660 $devnode"\n'))


def test_a_stand_in_has_no_libevse_security_and_is_not_concerned() -> None:
    fs = good_root().file(MARK, '{"kind": "reference"}').remove("/usr/libexec/everest")
    assert not failing(fs, replace(production(), stand_ins=True))


def test_a_tpm_key_of_the_store_holds() -> None:
    fs = good_root()
    stored(TPM_KEY)(fs)
    assert not failing(fs)


def test_a_key_on_the_data_partition_of_the_disk_is_found() -> None:
    root = good_root().root
    data = RootFs(kind="ext4").file("/lib/everest/certs/client/csms/leaf.key", KEY, mode=0o600, uid=1500).directory("/lost+found").tree
    disk = Artefact("disk.raw", "gpt", children=(root.artefact, Artefact("disk.raw:data", "ext4", tree=data)))
    checks.load()
    (entry,) = (each for each in registered() if each.name == "keys of the store lie in the tpm")
    result = run_check(entry, Root(root.artefact, root.tree, disk), "disk.raw:rootfs-a", production())
    assert result.outcome is Outcome.FAIL
    assert str(result.findings[0].at) == "disk.raw:data: /lib/everest/certs/client/csms/leaf.key"
