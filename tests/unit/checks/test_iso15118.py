from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from everest_secure.checks.stand_in import MARK
from support.charger import SCHEMA
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import RootFs, everest_configuration, failing, good_root, production

CONFIG = "/etc/everest/config.yaml"
SCHEMAS, MODULES = "/usr/share/everest/schemas", "/usr/libexec/everest/modules"

SPEAKER = "description: d\nprovides: {main: {interface: ISO15118_charger, description: d}}\nmetadata: {authors: [a], license: l}\n"


def replaced(pattern: str, new: str) -> Callable[[RootFs], RootFs]:
    return lambda fs: fs.replace(CONFIG, pattern, new)


def both(pattern: str, new: str) -> Callable[[RootFs], RootFs]:
    """A fault in the configuration of a charger that speaks ISO 15118-20 too."""
    return lambda fs: with_iso_20(fs).replace(CONFIG, pattern, new)


def with_iso_20(fs: RootFs) -> RootFs:
    return fs.file(CONFIG, everest_configuration(iso15118="2+20"))


MUTATIONS = [
    Mutation("EvseV2G prohibits TLS", "TLS-01", replaced("tls_security: .*", "tls_security: prohibit")),
    Mutation("EvseV2G logs the keys of its sessions", "TLS-01", replaced("tls_key_logging: false", "tls_key_logging: true")),
    Mutation("IsoMux prohibits TLS", "TLS-01", both('tls_security: "allow"', "tls_security: prohibit")),
    Mutation("Evse15118D20 goes without TLS", "TLS-01", both("ACCEPT_CLIENT_OFFER", "ENFORCE_NO_TLS")),
    Mutation("Evse15118D20 enforces TLS and allows TLS 1.2", "TLS-01", both("ACCEPT_CLIENT_OFFER", "ENFORCE_TLS")),
    Mutation("Evse15118D20 logs keys", "TLS-01", both("enable_tls_key_logging: false", "enable_tls_key_logging: true")),
    Mutation("Evse15118D20 logs what its TLS does", "TLS-01", both("enable_ssl_logging: false", "enable_ssl_logging: true")),
    Mutation(
        "a manifest's default prohibits TLS and the configuration says nothing",
        "TLS-01",
        lambda fs: fs.replace(CONFIG, ".*tls_security: .*", "").replace(
            f"{MODULES}/EvseV2G/manifest.yaml", "default: allow", "default: prohibit"
        ),
    ),
    Mutation("a key has a typing error", "TLS-01", replaced("verify_contract_cert_chain", "verify_contract_chain")),
    Mutation("a key belongs to another module", "TLS-01", both("tls_negotiation_strategy: .*", "tls_security: force")),
    Mutation("a value is none of the manifest's", "TLS-01", replaced("tls_security: .*", "tls_security: always")),
    Mutation("a switch is a word", "TLS-01", replaced("verify_contract_cert_chain: true", 'verify_contract_cert_chain: "true"')),
    Mutation("a switch is a word of YAML 1.1", "TLS-01", replaced("verify_contract_cert_chain: true", "verify_contract_cert_chain: yes")),
    Mutation(
        "a number is out of range",
        "TLS-01",
        replaced("    module: EvseSlac", "    module: EvseSlac\n    config_module: {number_of_sounds: 11}"),
    ),
    Mutation(
        "a number has a fraction",
        "TLS-01",
        replaced("    module: EvseSlac", "    module: EvseSlac\n    config_module: {number_of_sounds: 2.0}"),
    ),
    Mutation("a setting is unknown to EVerest's schema", "TLS-01", replaced("^settings:", "settings:\n  run_as_users: everest")),
    Mutation("a part of the file is unknown to EVerest's schema", "TLS-01", replaced("^settings:", "setting: {}\nsettings:")),
    Mutation(
        "a key of an implementation is unknown", "TLS-01", replaced("        database_path:", "        path: x\n        database_path:")
    ),
    Mutation(
        "an implementation is unknown", "TLS-01", replaced("^(    module: EvseSecurity)", r"\1\n    config_implementation: {other: {}}")
    ),
    Mutation("a module is not in the image", "TLS-01", lambda fs: fs.remove(f"{MODULES}/Auth")),
    Mutation(
        "a key that a module must have is not set",
        "TLS-01",
        lambda fs: fs.file(
            f"{MODULES}/Auth/manifest.yaml", manifest_of(fs, "Auth", lambda found: found["config"].update(limit={"type": "integer"}))
        ),
    ),
    Mutation("EVerest's schema is not in the image", "TLS-01", lambda fs: fs.remove(f"{SCHEMAS}/config.yaml")),
    Mutation("no module is in the image", "TLS-01", lambda fs: fs.remove(MODULES), also=("TPM-02",)),
    Mutation(
        "a module that nobody knows speaks ISO 15118",
        "TLS-01",
        lambda fs: fs.file(f"{MODULES}/Acme/manifest.yaml", SPEAKER).append(CONFIG, "  acme:\n    module: Acme\n"),
    ),
    Mutation("a connection leads to no module", "TLS-01", replaced("module_id: slac", "module_id: slack")),
    Mutation(
        "a connection leads to what the module does not provide", "TLS-01", replaced("implementation_id: rcd", "implementation_id: rcm")
    ),
    Mutation("a connection is nothing that the module requires", "TLS-01", replaced("^      bsp:", "      board:\n        []\n      bsp:")),
    Mutation(
        "a connection is missing",
        "TLS-01",
        lambda fs: fs.file(
            f"{MODULES}/Auth/manifest.yaml", manifest_of(fs, "Auth", lambda found: found["requires"].update(display={"interface": "any"}))
        ),
    ),
]


def manifest_of(fs: RootFs, name: str, change: Callable[[dict[str, dict[str, object]]], object]) -> str:
    found = yaml.safe_load(fs.nodes[f"{MODULES}/{name}/manifest.yaml"][1])
    change(found)
    return yaml.safe_dump(found)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("iso15118", ["2", "2+20"])
@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
def test_every_configuration_of_the_layer_holds(iso15118: str, ocpp: str) -> None:
    fs = good_root().file(CONFIG, everest_configuration(iso15118=iso15118, ocpp=ocpp))
    assert "TLS-01" not in failing(fs)


def test_enforced_tls_1_3_holds() -> None:
    fs = both("tls_negotiation_strategy: .*", "tls_negotiation_strategy: ENFORCE_TLS\n      enforce_tls_1_3: true")(good_root())
    assert not failing(fs)


def test_a_release_that_cannot_enforce_tls_1_3_is_not_asked_to() -> None:
    fs = both("ACCEPT_CLIENT_OFFER", "ENFORCE_TLS")(good_root())
    fs.file(f"{MODULES}/Evse15118D20/manifest.yaml", manifest_of(fs, "Evse15118D20", lambda found: found["config"].pop("enforce_tls_1_3")))
    assert not failing(fs)


def test_a_product_may_force_tls() -> None:
    policy = replace(production(), iso15118_tls=("force",))
    assert set(failing(good_root(), policy)) == {"TLS-01"}
    assert not failing(replaced("tls_security: .*", "tls_security: force")(good_root()), policy)


def test_schemas_and_modules_are_where_the_configuration_says() -> None:
    fs = good_root()
    for path in [path for path in fs.nodes if path.startswith((f"{SCHEMAS}/", f"{MODULES}/")) and fs.nodes[path][0].is_file]:
        node, content = fs.nodes[path]
        fs.file(f"/opt{path}", content, mode=node.mode)
    fs.remove(SCHEMAS).remove(MODULES)
    fs.replace(CONFIG, "^settings:", f"settings:\n  schemas_dir: /opt{SCHEMAS}\n  modules_dir: /opt{MODULES}")
    assert not failing(fs)


def test_a_stand_in_has_no_manifests_and_its_configuration_is_still_looked_at() -> None:
    fs = good_root().file(MARK, '{"kind": "reference"}').remove(MODULES).remove(SCHEMAS)
    policy = replace(production(), stand_ins=True)
    assert not failing(fs, policy)
    assert set(failing(replaced("tls_security: .*", "tls_security: prohibit")(fs), policy)) == {"TLS-01"}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: &a [1]\nb: *a\n",
        "- a\n",
        "x: " + "y" * (1 << 20),
        "description: \x00\n",
        "{config: {tls_security: {oneOf: []}}}",
        "{config: {tls_security: {pattern: '(a+)+$'}}}",
        "{config: {tls_security: [allow]}}",
    ],
)
def test_a_manifest_that_cannot_be_followed_is_an_error_and_never_a_pass(text: str) -> None:
    found = failing(good_root().file(f"{MODULES}/EvseV2G/manifest.yaml", text))
    assert set(found) == {"TLS-01"}
    assert all(wrong.startswith(("error: ", "'active_modules")) for wrong in found["TLS-01"])
    assert any(wrong.startswith("error: ") for wrong in found["TLS-01"])


def test_manifests_that_are_larger_than_any_of_everests_are_an_error() -> None:
    fs = good_root()
    for path in [path for path in fs.nodes if path.startswith(f"{MODULES}/") and path.endswith("manifest.yaml")]:
        fs.append(path, "# " + "x" * (1 << 19))
    assert "taken for hostile" in failing(fs)["TLS-01"][0]


def test_a_schema_that_leads_in_circles_is_an_error() -> None:
    circle = {**SCHEMA, "properties": {"active_modules": {"$ref": "#/$defs/a"}, "settings": True}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    found = failing(good_root().file(f"{SCHEMAS}/config.yaml", yaml.safe_dump(circle)))
    assert set(found) == {"TLS-01"}
    assert "leads in circles" in found["TLS-01"][0]
