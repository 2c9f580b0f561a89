from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from everest_secure import checks
from everest_secure.checks.core import Outcome, Root, registered, run_check
from everest_secure.image.artefact import Artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.cpio import open_cpio
from everest_secure.pki.marking import DEVELOPMENT
from support.authority import issue
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import RootFs, failing, good_root, production

STORE = "/etc/everest/certs"
ROOT = issue("V2G root", authority=True)
SUB1 = issue("Sub 1", by=ROOT, authority=True)
SUB2 = issue("Sub 2", by=SUB1, authority=True)
LEAF = issue("SECC", by=SUB2)
OTHER = issue("Other root", authority=True)
CSMS = issue("cp4711", by=SUB2, organization="Acme Charging", for_clients=True)
CSMS_CHAIN = (CSMS.pem, SUB2.pem, SUB1.pem)

NARROW = issue("Narrow", by=ROOT, authority=True, path_length=0)
BELOW = issue("Below", by=NARROW, authority=True)
SHORT = (issue("SECC", by=BELOW).pem, BELOW.pem, NARROW.pem)
SMALL = issue("Small", authority=True, key=rsa.generate_private_key(65537, 1024))


def bundle(fs: RootFs, *pems: str) -> None:
    fs.file(f"{STORE}/ca/v2g/V2G_ROOT_CA.pem", "".join(pems))


def chain(fs: RootFs, *pems: str) -> None:
    fs.file(f"{STORE}/client/cso/CPO_CERT_CHAIN.pem", "".join(pems))


def with_roots(fs: RootFs, **pems: str) -> RootFs:
    """Put roots into the bundles for their kinds."""
    for kind, pem in pems.items():
        fs.file(f"{STORE}/ca/{kind}/{kind.upper()}_ROOT_CA.pem", pem)
    return fs


def bundle_and_chain(fs: RootFs, root: str, *pems: str) -> None:
    bundle(fs, root)
    chain(fs, *pems)


def towards_csms(fs: RootFs, *pems: str) -> None:
    fs.file(f"{STORE}/client/csms/CSMS_LEAF.pem", "".join(pems))


def elsewhere(fs: RootFs) -> RootFs:
    """Put a bundle, and chains and keys, of EvseSecurity into directories of the product's own."""
    keys = "secc_leaf_cert_directory: /var/lib/secc, secc_leaf_key_directory: /var/lib/secc, v2g_ca_bundle: /var/lib/roots/v2g.pem"
    fs.replace("/etc/everest/config.yaml", "module: EvseSecurity", f"module: EvseSecurity\n    config_module: {{{keys}}}")
    for path in ("/var/lib/secc", "/var/lib/roots"):
        fs.directory(path, mode=0o700, uid=1500, gid=1500)
    return fs


def charger(**changes: str | bool) -> str:
    """A certificate towards the CSMS that is as it should be but for one thing."""
    return issue(str(changes.pop("name", "cp4711")), by=SUB2, **{"organization": "Acme Charging", "for_clients": True, **changes}).pem  # type: ignore[arg-type] # any of its options


MUTATIONS = [
    Mutation("a sub-authority is among the roots", "CERT-03", lambda fs: bundle(fs, ROOT.pem, SUB1.pem)),
    Mutation("a leaf is among the roots", "CERT-03", lambda fs: bundle(fs, LEAF.pem)),
    Mutation(
        "a root is in DER, which EVerest overlooks",
        "CERT-03",
        lambda fs: fs.file(f"{STORE}/ca/v2g/V2G_ROOT_CA.pem", ROOT.certificate.public_bytes(Encoding.DER)),
    ),
    Mutation(
        "a chain has a name that EVerest overlooks",
        "CERT-03",
        lambda fs: fs.file(f"{STORE}/client/cso/CPO_CERT_CHAIN.crt", LEAF.pem + SUB2.pem + SUB1.pem),
    ),
    Mutation(
        "a root has a name that EVerest overlooks",
        "CERT-03",
        lambda fs: bundle_and_chain(fs.file(f"{STORE}/ca/mo/MO_ROOT_CA.PEM", OTHER.pem), ROOT.pem, LEAF.pem, SUB2.pem, SUB1.pem),
    ),
    Mutation("a leaf is there without its chain", "CERT-03", lambda fs: bundle_and_chain(fs, ROOT.pem, LEAF.pem)),
    Mutation("a chain holds its root", "CERT-03", lambda fs: chain(fs, LEAF.pem, SUB2.pem, SUB1.pem, ROOT.pem)),
    Mutation("a chain is in the wrong order", "CERT-03", lambda fs: chain(fs, LEAF.pem, SUB1.pem, SUB2.pem)),
    Mutation("a chain begins with an authority", "CERT-03", lambda fs: chain(fs, SUB2.pem, SUB1.pem)),
    Mutation("a chain holds a stranger", "CERT-03", lambda fs: chain(fs, LEAF.pem, issue("Stranger", by=OTHER, authority=True).pem)),
    Mutation("no root of the store issued a chain", "CERT-03", lambda fs: bundle_and_chain(fs, OTHER.pem, LEAF.pem, SUB2.pem, SUB1.pem)),
    Mutation(
        "a root of V2G issued the chain towards the CSMS",
        "CERT-03",
        lambda fs: towards_csms(with_roots(fs, csms=OTHER.pem, v2g=ROOT.pem), *CSMS_CHAIN),
    ),
    Mutation(
        "a root of the CSMS issued the chain towards vehicles",
        "CERT-03",
        lambda fs: chain(with_roots(fs, csms=ROOT.pem), LEAF.pem, SUB2.pem, SUB1.pem),
    ),
    Mutation(
        "the root of a chain lies beside the bundle, where EVerest does not look",
        "CERT-03",
        lambda fs: chain(fs.file(f"{STORE}/ca/v2g/other.pem", ROOT.pem), LEAF.pem, SUB2.pem, SUB1.pem),
    ),
    Mutation("a chain lacks an authority", "CERT-03", lambda fs: bundle_and_chain(fs, ROOT.pem, LEAF.pem, SUB2.pem)),
    Mutation("a certificate in the chain is no authority", "CERT-03", lambda fs: chain(fs, issue("Below", by=LEAF).pem, LEAF.pem)),
    Mutation("an authority in the chain may have none below it", "CERT-03", lambda fs: chain(fs, *SHORT)),
    Mutation(
        "a chain is a link to one that has expired",
        "CERT-04",
        lambda fs: fs.file("/usr/share/old.pem", issue("Old", by=SUB2, days=1, age=9).pem).link(
            f"{STORE}/client/cso/CPO_CERT_CHAIN.pem", "/usr/share/old.pem"
        ),
    ),
    Mutation("the certificate towards the CSMS names no operator", "CERT-04", lambda fs: towards_csms(fs, charger(organization=""))),
    Mutation("the certificate towards the CSMS may not sign", "CERT-04", lambda fs: towards_csms(fs, charger(may_sign=False))),
    Mutation("the certificate towards the CSMS is for code", "CERT-04", lambda fs: towards_csms(fs, charger(for_clients=False))),
    Mutation(
        "a key of the data partition's store is small",
        "CERT-04",
        lambda fs: fs.file("/var/lib/everest/certs/ca/mo/MO_ROOT_CA.pem", SMALL.pem),
    ),
    Mutation("a root is of a PKI for tests", "CERT-04", lambda fs: bundle(fs, issue("V2GRootCA", authority=True, unit=DEVELOPMENT).pem)),
    Mutation("a root has expired", "CERT-04", lambda fs: bundle(fs, issue("Old", authority=True, days=1, age=9).pem)),
    Mutation("a root is not valid yet", "CERT-04", lambda fs: bundle(fs, issue("New", authority=True, age=-9).pem)),
    Mutation("a root expires soon", "CERT-04", lambda fs: bundle(fs, issue("Ending", authority=True, days=20).pem)),
    Mutation(
        "a key is small", "CERT-04", lambda fs: bundle(fs, issue("Small", authority=True, key=rsa.generate_private_key(65537, 1024)).pem)
    ),
    Mutation(
        "a key is readable by its group",
        "CERT-02",
        lambda fs: fs.file(f"{STORE}/client/cso/k.key", LEAF.key_pem, mode=0o640, uid=1500, gid=1500),
        also=("FS-06", "TPM-04"),
    ),
    Mutation(
        "a key belongs to root",
        "CERT-02",
        lambda fs: fs.file(f"{STORE}/client/cso/k.key", LEAF.key_pem, mode=0o600),
        also=("FS-06", "TPM-04"),
    ),
    Mutation(
        "nothing makes a directory of the store",
        "CERT-01",
        lambda fs: fs.replace("/usr/lib/tmpfiles.d/everest-state.conf", "^d /var/lib/everest/certs/ca/mo .*$", ""),
    ),
    Mutation(
        "a directory of the store belongs to root",
        "CERT-01",
        lambda fs: fs.replace("/usr/lib/tmpfiles.d/everest-state.conf", "(certs/ca/v2g 0700) everest", r"\1 root"),
    ),
    Mutation(
        "a directory of the store is writable by everyone",
        "CERT-01",
        lambda fs: fs.replace("/usr/lib/tmpfiles.d/everest-state.conf", "certs/client/cso 0700", "certs/client/cso 0777"),
    ),
    Mutation(
        "the store is not mounted", "CERT-01", lambda fs: fs.remove("/etc/systemd/system/multi-user.target.wants/etc-everest-certs.mount")
    ),
    Mutation(
        "a configured directory is elsewhere",
        "CERT-01",
        lambda fs: fs.replace(
            "/etc/everest/config.yaml",
            "module: EvseSecurity",
            "module: EvseSecurity\n    config_module:\n      secc_leaf_cert_directory: secc",
        ),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_roots_alone_and_chains_in_order_hold() -> None:
    fs = good_root()
    bundle(fs, ROOT.pem, OTHER.pem)
    chain(fs, LEAF.pem, SUB2.pem, SUB1.pem)
    assert not failing(fs)


def test_a_chain_towards_the_csms_that_a_root_of_the_csms_issued_holds() -> None:
    fs = with_roots(good_root(), csms=OTHER.pem + ROOT.pem)
    towards_csms(fs, *CSMS_CHAIN)
    assert not failing(fs)


@pytest.mark.parametrize("kind", ["csms", "v2g"])
def test_where_both_chains_lie_in_one_directory_a_root_of_either_kind_will_do(kind: str) -> None:
    fs = with_roots(good_root(), **{kind: ROOT.pem})
    fs.replace(
        "/etc/everest/config.yaml",
        "module: EvseSecurity",
        "module: EvseSecurity\n    config_module: {secc_leaf_cert_directory: client/csms}",
    )
    towards_csms(fs, *CSMS_CHAIN)
    assert not failing(fs)


def test_chains_of_a_store_that_gets_its_roots_later_hold() -> None:
    fs = good_root()
    chain(fs, LEAF.pem, SUB2.pem, SUB1.pem)
    towards_csms(fs, *CSMS_CHAIN)
    assert not failing(fs)


def test_a_leaf_that_everest_keeps_beside_its_chain_holds() -> None:
    fs = good_root()
    bundle_and_chain(fs, ROOT.pem, LEAF.pem, SUB2.pem, SUB1.pem)
    fs.file(f"{STORE}/client/cso/SECC_LEAF.pem", LEAF.pem)
    assert not failing(fs)
    fs.file(f"{STORE}/client/csms/SECC_LEAF.pem", LEAF.pem)
    assert set(failing(fs)) == {"CERT-03", "CERT-04"}


def test_days_and_sizes_are_the_policys() -> None:
    fs = good_root()
    bundle(fs, ROOT.pem)
    assert set(failing(fs, replace(production(), expiry_warning_days=400))) == {"CERT-04"}
    assert set(failing(fs, replace(production(), certificate_key_bits={"RSA": 2048, "EC": 384}))) == {"CERT-04"}
    assert set(failing(fs, replace(production(), certificate_key_bits={"RSA": 2048}))) == {"CERT-04"}


def test_a_pki_for_tests_is_what_a_development_image_may_have() -> None:
    fs = good_root()
    bundle(fs, issue("V2GRootCA", authority=True, unit=DEVELOPMENT).pem)
    assert not failing(fs, replace(production(), development_authorities=True))


def test_bundles_and_chains_are_where_evse_security_is_configured_for() -> None:
    fs = good_root()
    fs.replace(
        "/etc/everest/config.yaml",
        "module: EvseSecurity",
        "module: EvseSecurity\n    config_module: {v2g_ca_bundle: roots/v2g.pem, secc_leaf_cert_directory: secc}",
    )
    fs.file(f"{STORE}/roots/v2g.pem", LEAF.pem).file(f"{STORE}/secc/chain.pem", ROOT.pem)
    assert len([wrong for wrong in failing(fs)["CERT-03"] if "is no root authority" in wrong]) == 1
    assert len([wrong for wrong in failing(fs)["CERT-03"] if "holds the root" in wrong]) == 1


def test_a_file_in_the_store_that_is_damaged_is_an_error() -> None:
    fs = good_root()
    bundle(fs, ROOT.pem.replace("MII", "AAA", 1))
    assert all(wrong[0].startswith("error: ") for wrong in failing(fs).values())
    assert set(failing(fs)) == {"CERT-03", "CERT-04"}


def test_an_initial_ram_disk_is_no_data_partition_and_is_not_unpacked() -> None:
    damaged = open_cpio(from_bytes(b"070701" + b"?" * 200, "initrd"), 0)
    assert damaged is not None
    checks.load()
    root = good_root().root
    subject = Root(root.artefact, root.tree, Artefact("disk", "gpt", children=(root.artefact, damaged)))
    for entry in (each for each in registered() if each.requirement in ("CERT-02", "CERT-03", "CERT-04")):
        assert run_check(entry, subject, "rootfs", production()).outcome is Outcome.NOT_APPLICABLE


def test_directories_of_the_product_s_own_are_looked_at() -> None:
    good = elsewhere(good_root()).file("/var/lib/roots/v2g.pem", ROOT.pem).file("/var/lib/secc/chain.pem", LEAF.pem + SUB2.pem + SUB1.pem)
    assert not {"CERT-02", "CERT-03", "CERT-04"} & failing(good).keys()
    bad = good.file("/var/lib/secc/k.key", LEAF.key_pem, mode=0o644, uid=1500)
    old = issue("Old", authority=True, days=1, age=9)
    bad.file("/var/lib/roots/v2g.pem", old.pem)
    found = failing(bad)
    assert found["CERT-02"] == ("the key /var/lib/secc/k.key has mode 0644 and owner 1500 [mode]",)
    assert found["CERT-04"] == (f"'CN=Old' expired on {old.certificate.not_valid_after_utc:%Y-%m-%d} [expired]",)
