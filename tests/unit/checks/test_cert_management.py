import uuid
from dataclasses import replace

import pytest

from everest_secure import checks
from everest_secure.checks.core import CheckResult, Root, registered, run_check
from everest_secure.checks.stand_in import MARK
from everest_secure.image.artefact import Artefact
from everest_secure.image.gpt import Partition, PartitionTable
from everest_secure.result import Outcome
from support.authority import issue
from support.charger import program
from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.ocpp import CONFIG, key, variable
from support.rootfs import UNITS, RootFs, everest_configuration, failing, good_root, production

REPART = "/usr/lib/repart.d/50-data.conf"
PROGRAM = "/usr/libexec/everest/modules/EvseSecurity/EvseSecurity"
DROP_IN = f"{UNITS}/everest.service.d/50-everest-secure.conf"
TPM, CERT = production().commands["TPM-06"], production().commands["CERT-08"]
SECRET = issue("charger").key_pem
MIB = 1 << 20


def with_second_store() -> str:
    """EVerest's configuration with one store for OCPP and another for the rest."""
    before, ocpp = everest_configuration().split("  ocpp:\n    module: OCPP201\n")
    own = ocpp.replace("module_id: evse_security", "module_id: ocpp_security")
    return f"{before}  ocpp_security:\n    module: EvseSecurity\n  ocpp:\n    module: OCPP201\n{own}"


def on_the_data_partition(fs: RootFs) -> None:
    move_behind(fs, TPM)
    fs.chmod("/var/lib/elsewhere", 0o755)


MUTATIONS = [
    Mutation(
        "the data partition is smaller than the store may grow",
        "CERT-06",
        lambda fs: fs.replace(REPART, "^SizeMinBytes=.*$", "SizeMinBytes=49M"),
    ),
    Mutation("the data partition has systemd's least size", "CERT-06", lambda fs: fs.replace(REPART, "^SizeMinBytes=.*$", "")),
    Mutation(
        "a drop-in makes the data partition smaller",
        "CERT-06",
        lambda fs: fs.file(f"{REPART}.d/small.conf", "[Partition]\nSizeMinBytes=10M\n"),
    ),
    Mutation("nothing says how large the data partition is", "CERT-06", lambda fs: fs.remove(REPART)),
    Mutation(
        "the CSMS's roots are installed over an unsecured link",
        "CERT-07",
        variable("InternalCtrlr", "AllowCSMSRootCertInstallWithUnsecureConnection", True),
    ),
    Mutation(
        "the manufacturer's roots are installed over an unsecured link by default",
        "CERT-07",
        variable("InternalCtrlr", "AllowMFRootCertInstallWithUnsecureConnection", None),
    ),
    Mutation("the operator that 2.x names in requests is not set", "CERT-07", variable("SecurityCtrlr", "OrganizationName", None)),
    Mutation("the country that 2.x names in requests is not set", "CERT-07", variable("ISO15118Ctrlr", "CountryName", "")),
    Mutation("the operator that 1.6 names in requests is not set", "CERT-07", key("Security", "CpoName", None)),
    Mutation("OCPP manages another store than EVerest's", "CERT-07", lambda fs: fs.file(CONFIG, with_second_store())),
    Mutation(
        "the store is not writable for the service",
        "CERT-07",
        lambda fs: fs.replace(DROP_IN, "(ReadWritePaths=.*) /etc/everest/certs", r"\1"),
    ),
    Mutation(
        "the service denies itself to write the store",
        "CERT-07",
        lambda fs: fs.append(DROP_IN, "[Service]\nReadOnlyPaths=-/etc/everest/certs\n"),
    ),
    Mutation(
        "the service denies itself to see the store's keys",
        "CERT-07",
        lambda fs: fs.append(DROP_IN, "[Service]\nInaccessiblePaths=/etc/everest/certs/client\n"),
    ),
    Mutation(
        "chains lie where roots do",
        "CERT-07",
        lambda fs: fs.replace(CONFIG, "module: EvseSecurity", "module: EvseSecurity\n    config_module:\n      v2g_ca_bundle: client/cso"),
        also=("TLS-01",),
    ),
    Mutation("keys are provisioned by no command", "TPM-06", lambda fs: fs.remove(TPM)),
    Mutation("the command that provisions is empty", "TPM-06", lambda fs: fs.file(TPM, "", mode=0o755)),
    Mutation("the command that provisions is not executable", "TPM-06", lambda fs: fs.chmod(TPM, 0o644)),
    Mutation("the service user may change the command that provisions", "TPM-06", lambda fs: fs.chown(TPM, 1500, 1500)),
    Mutation("its group may change the command that provisions", "TPM-06", lambda fs: fs.chmod(TPM, 0o775)),
    Mutation("the command that provisions holds a key", "TPM-06", lambda fs: fs.append(TPM, SECRET), also=("FS-06",)),
    Mutation(
        "the command that provisions lies on the data partition",
        "TPM-06",
        on_the_data_partition,
        also=("NET-06",),
    ),
    Mutation("certificates are managed by no command", "CERT-08", lambda fs: fs.remove(CERT)),
    Mutation("the command for certificates is not executable", "CERT-08", lambda fs: fs.chmod(CERT, 0o644)),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


NAMED = replace(production(), csr_dns_name="charger.example.com", csr_ip_address="192.0.2.1")


def test_names_that_the_product_wants_are_in_certificate_requests() -> None:
    texts = ("?provider=tpm2", "charger.example.com", "192.0.2.1")
    assert not failing(good_root().file(PROGRAM, program(*texts), mode=0o755), NAMED)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("charger.example.com",), "192.0.2.1"),
        (("192.0.2.1",), "charger.example.com"),
        (("charger.example.com.invalid", "192.0.2.1"), "charger.example.com"),
    ],
)
def test_a_name_that_was_not_built_in_is_a_finding(texts: tuple[str, ...], said: str) -> None:
    found = failing(good_root().file(PROGRAM, program("?provider=tpm2", *texts), mode=0o755), NAMED)
    assert set(found) == {"CERT-05"}
    assert f"'{said}'" in found["CERT-05"][0]


def test_without_evse_security_nothing_makes_requests() -> None:
    assert set(failing(good_root().remove(PROGRAM), NAMED)) == {"CERT-05", "TPM-02"}


def test_a_stand_in_makes_no_requests() -> None:
    fs = good_root().file(MARK, '{"kind": "reference"}').remove("/usr/libexec/everest")
    assert not failing(fs, replace(NAMED, stand_ins=True))


def on_disk(label: str, size: int) -> CheckResult:
    """What is said of a disk with one more partition."""
    root = good_root().remove(REPART).root
    partition = Partition(number=3, label=label, type=uuid.UUID(int=1), uuid=uuid.UUID(int=2), offset=0, size=size, attributes=0)
    disk = Artefact("disk.raw", "gpt", facts=PartitionTable(512, uuid.UUID(int=3), (partition,)), children=(root.artefact,))
    checks.load()
    (entry,) = (each for each in registered() if each.requirement == "CERT-06")
    return run_check(entry, Root(root.artefact, root.tree, disk), "disk.raw:rootfs-a", production())


def test_the_partition_of_a_disk_counts_before_what_would_be_made() -> None:
    assert on_disk("data", 50 * MIB).outcome is Outcome.PASS
    assert on_disk("data", 50 * MIB - 1).outcome is Outcome.FAIL
    assert on_disk("spare", 500 * MIB).outcome is Outcome.FAIL


def test_a_service_that_protects_etc_alone_needs_the_store_named_too() -> None:
    fs = good_root().replace(DROP_IN, "^ReadWritePaths=.*$", "").replace(DROP_IN, "^ProtectSystem=.*$", "ProtectSystem=full")
    assert "CERT-07" in failing(fs)


def test_a_store_in_the_service_s_own_directory_is_writable() -> None:
    keys = ("csms_leaf_cert_directory", "csms_leaf_key_directory", "secc_leaf_cert_directory", "secc_leaf_key_directory")
    paths = {each: f"/var/lib/charger/{each}" for each in keys}
    paths |= {each: f"/var/lib/charger/{each}.pem" for each in ("csms_ca_bundle", "mf_ca_bundle", "mo_ca_bundle", "v2g_ca_bundle")}
    moved = "".join(f"\n      {key}: {path}" for key, path in paths.items())
    fs = good_root().replace(CONFIG, "module: EvseSecurity", f"module: EvseSecurity\n    config_module:{moved}")
    assert "CERT-07" in failing(fs)
    fs.append(DROP_IN, "[Service]\nStateDirectory=charger:everest-charger\n")
    assert "CERT-07" not in failing(fs)
    fs.append(DROP_IN, "[Service]\nStateDirectory=\nStateDirectory=charger::ro\n")
    assert "CERT-07" in failing(fs)


def test_a_directory_around_the_store_that_is_read_only_leaves_it_writable() -> None:
    assert not failing(good_root().append(DROP_IN, "[Service]\nReadOnlyPaths=/etc/everest\n"))


def test_a_service_without_the_sandbox_writes_everywhere() -> None:
    fs = good_root().replace(DROP_IN, "^ReadWritePaths=.*$", "").replace(DROP_IN, "^ProtectSystem=.*$", "")
    assert "CERT-07" not in failing(fs)
