"""Texts that nobody meant: each parser says something of them or ends in one sentence."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_secure.errors import ArtefactError
from everest_secure.parse.device_nodes import node_access
from everest_secure.parse.everest_config import parse_everest_config
from everest_secure.parse.everest_manifests import Manifests
from everest_secure.parse.everest_yaml import parse_everest_yaml
from everest_secure.parse.json_schema import faults
from everest_secure.parse.ocpp2 import read_ocpp2
from everest_secure.parse.ocpp16 import read_ocpp16, schema_faults
from everest_secure.parse.packages import parse_licences
from everest_secure.parse.repart import partitions
from everest_secure.parse.versions import compare, upstream
from support.ocpp import COMPONENTS, FILE, version_16
from support.rootfs import RootFs, everest_configuration, good_root

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
WORDS = st.sampled_from(
    [
        "type",
        "properties",
        "required",
        "$ref",
        "#",
        "items",
        "enum",
        "pattern",
        "object",
        "string",
        "additionalProperties",
        "minimum",
        "^a*$",
        "[",
    ]
)
SCHEMAS = st.recursive(WORDS | st.booleans() | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=15)  # fmt: skip
SIXTEEN, TWO = version_16(good_root()), good_root()
MODULES = {
    "1.6": parse_everest_config(everest_configuration(ocpp="1.6"), "x").of_type("OCPP")[0],
    "2": parse_everest_config(everest_configuration(), "x").of_type("OCPP201")[0],
}


def edited(text: str, at: int, gone: int, new: str) -> str:
    """A text with a part of it replaced; the place counts from the end when the text is shorter."""
    at %= len(text) + 1
    return text[:at] + new + text[at + gone :]


@given(st.text(max_size=200))
def test_any_text_is_yaml_or_a_sentence(text: str) -> None:
    with suppress(ArtefactError):
        parse_everest_yaml(text, "x")


@given(st.integers(0, 20_000), st.integers(0, 40), st.text(max_size=10))
def test_an_altered_configuration_is_judged_or_a_sentence(at: int, gone: int, new: str) -> None:
    with suppress(ArtefactError):
        config = parse_everest_config(edited(everest_configuration(), at, gone, new), "x")
        list(Manifests(TWO.tree, config).faults(config))


@given(VALUES, SCHEMAS)
def test_any_value_is_held_to_any_schema_or_a_sentence(value: object, schema: object) -> None:
    with suppress(ArtefactError):
        list(faults(value, schema, "x"))  # type: ignore[arg-type] # a schema of the image may be anything


@pytest.mark.parametrize("name", ["SecurityCtrlr", "InternalCtrlr"])
@given(value=VALUES, at=st.integers(0, 20_000), gone=st.integers(0, 40), new=st.text(max_size=10))
def test_an_altered_component_is_read_or_a_sentence(name: str, value: object, at: int, gone: int, new: str) -> None:
    path = f"{COMPONENTS}/{name}.json"
    for text in (json.dumps(value), json.dumps({"name": name, "properties": value}), edited(TWO.nodes[path][1].decode(), at, gone, new)):
        with suppress(ArtefactError):
            read_ocpp2(RootFs(nodes={**TWO.nodes}).file(path, text).tree, MODULES["2"])


@given(value=VALUES, at=st.integers(0, 20_000), gone=st.integers(0, 40), new=st.text(max_size=10))
def test_an_altered_file_of_ocpp_1_6_is_read_or_a_sentence(value: object, at: int, gone: int, new: str) -> None:
    for text in (
        json.dumps(value),
        json.dumps({"Internal": value, "Security": value}),
        edited(SIXTEEN.nodes[FILE][1].decode(), at, gone, new),
    ):
        tree = RootFs(nodes={**SIXTEEN.nodes}).file(FILE, text).tree
        with suppress(ArtefactError):
            read_ocpp16(tree, MODULES["1.6"])
        with suppress(ArtefactError):
            list(schema_faults(tree, FILE))


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_versions_of_any_kind_have_one_order(one: str, two: str, three: str) -> None:
    assert compare(one, two) == -compare(two, one)
    if compare(one, two) <= 0 and compare(two, three) <= 0:
        assert compare(one, three) <= 0
    upstream(one)


@given(st.text(alphabet='KERNEL=="tpmrm0", GROUP:+-!MODE\\\n#', max_size=120))
def test_any_rule_and_any_definition_is_read(text: str) -> None:
    fs = RootFs().directory("/").file("/etc/udev/rules.d/x.rules", text).file("/etc/repart.d/x.conf", f"[Partition]\n{text}")
    node_access(fs.tree, kernel="tpmrm0", subsystem="tpmrm")
    list(partitions(fs.tree))
    parse_licences(text, "x")
