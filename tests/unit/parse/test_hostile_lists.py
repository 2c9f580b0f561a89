"""Settings, networks, topics, lists of a build and bills of materials that nobody meant: each is read or ends in one sentence, and soon."""

import json
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from everest_secure.errors import ArtefactError
from everest_secure.parse.build_lists import parse_buildinfo, parse_package_manifest, parse_vulnerabilities
from everest_secure.parse.hawkbit_conf import parse_hawkbit_config
from everest_secure.parse.journald_conf import read_journald_conf
from everest_secure.parse.mosquitto import parse_broker_config
from everest_secure.parse.networkd import made_interfaces, networks_of, read_networks
from everest_secure.parse.revocation import MAX_LISTS, is_revoked, list_faults, parse_revocation_lists
from everest_secure.parse.spdx import parse_spdx3, read_spdx2
from everest_secure.parse.sysctl import read_sysctl
from everest_secure.parse.timespan import seconds
from everest_secure.parse.topics import covers, parse_acl, passages
from support.authority import issue, revocation_list
from support.rootfs import RootFs

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["package", "issue", "id", "name", "documents", "filename", "@graph", "type", "packages"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.text(alphabet="net.ipv4/conf*=-#;[]?! 01\n", max_size=200))
def test_any_settings_and_networks_are_read(text: str) -> None:
    fs = RootFs().directory("/").file("/etc/sysctl.d/a.conf", text)
    for name, section in (
        ("systemd/network/a.network", "Match"),
        ("systemd/network/a.netdev", "NetDev"),
        ("systemd/journald.conf", "Journal"),
    ):
        fs.file(f"/etc/{name}", f"[{section}]\nName={text}\n[Journal]\nSystemMaxUse={text}")
    read_sysctl(fs.tree).get("net.ipv4.conf.eth0.rp_filter")
    networks_of("eth0", read_networks(fs.tree))
    made_interfaces(fs.tree)
    assert (read_journald_conf(fs.tree).bytes or 1) > 0


@given(st.text(alphabet='topicpatternuserreadwrite #+/%"$ab\n', max_size=200), st.text(alphabet="a/+#$%", max_size=20))
def test_any_access_list_and_bridge_is_read_or_a_sentence(text: str, topic: str) -> None:
    with suppress(ArtefactError):
        for grant in parse_acl(text, "x"):
            covers(topic, grant.topic)
    with suppress(ArtefactError):
        for bridge in parse_broker_config(f"connection a\naddress b\ntopic {text}", "x").bridges:
            passages(bridge)
    assert covers(topic, topic) or "$" in topic or "%" in topic or "#" in topic[:-1]


@given(st.text(max_size=200))
def test_any_list_of_a_build_is_read_or_a_sentence(text: str) -> None:
    parse_buildinfo(text)
    parse_buildinfo(f"Layer Revisions:      |\n{text}")
    seconds(text)
    for parse in (parse_package_manifest, parse_hawkbit_config, parse_vulnerabilities, parse_spdx3):
        with suppress(ArtefactError):
            parse(text, "x")


@given(VALUES)
def test_any_report_and_bill_is_read_or_a_sentence(value: object) -> None:
    text = json.dumps(value)
    for parse in (parse_vulnerabilities, parse_spdx3):
        with suppress(ArtefactError):
            parse(text, "x")
    with suppress(ArtefactError):
        read_spdx2(RootFs().directory("/").file("/index.json", text).file("/a", text).tree)


def test_a_million_beginnings_of_a_list_and_of_a_layer_take_no_time() -> None:
    begin = b"-----BEGIN X509 CRL-----\n"
    assert parse_revocation_lists(begin * 500_000, "x") == ()
    with suppress(ArtefactError):
        parse_revocation_lists((begin + b"-----END X509 CRL-----\n") * (MAX_LISTS + 1), "x")
    (layer,) = parse_buildinfo("Layer Revisions:      |\n" + "a= " + ":" * 5_000_000).layers
    assert layer.modified


def test_a_revocation_list_with_any_byte_altered_is_read_or_a_sentence() -> None:
    """An issuer of an unknown kind of text, for one, shows only when somebody asks for the issuer."""
    authority = issue("root", authority=True)
    leaf = issue("leaf", by=authority).certificate
    der = x509.load_pem_x509_crl(revocation_list(authority, issue("other", by=authority)).encode()).public_bytes(Encoding.DER)
    refused = 0
    for at, value in ((at, new) for at, old in enumerate(der) for new in (0, 0xFF, old ^ 1, old ^ 0x80)):
        pem = b64encode(der[:at] + bytes([value]) + der[at + 1 :]).decode()
        try:
            lists = parse_revocation_lists(f"-----BEGIN X509 CRL-----\n{pem}\n-----END X509 CRL-----\n".encode(), "x")
            list(list_faults(authority.certificate, lists, at=datetime(2026, 1, 1, tzinfo=UTC), days=30))
            is_revoked(leaf, authority.certificate, lists)
        except ArtefactError:
            refused += 1
    assert refused
