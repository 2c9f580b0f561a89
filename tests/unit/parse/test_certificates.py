import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from everest_secure.errors import ArtefactError
from everest_secure.parse.certificates import is_root, key_bits, parse_certificates, weak_digest
from support.authority import Pair, issue

ROOT = issue("Root", authority=True)
SUB = issue("Sub", by=ROOT, authority=True, path_length=0)
LEAF = issue("Leaf", by=SUB)


def test_pem_and_der_are_read_in_order() -> None:
    assert parse_certificates((LEAF.pem + "text\n" + SUB.pem).encode(), "x") == (LEAF.certificate, SUB.certificate)
    assert parse_certificates(LEAF.certificate.public_bytes(Encoding.DER), "x") == (LEAF.certificate,)
    assert parse_certificates(b"nothing", "x") == ()


@pytest.mark.parametrize("data", [b"\x30\x82\x01", LEAF.pem.replace("MII", "AAA", 1).encode()])
def test_a_damaged_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(ArtefactError, match="x holds"):
        parse_certificates(data, "x")


def test_a_self_signed_leaf_and_a_renamed_root_are_what_they_are() -> None:
    assert is_root(ROOT.certificate)
    assert not is_root(SUB.certificate)
    lone: Pair = issue("alone")
    assert is_root(lone.certificate)
    assert key_bits(issue("x", key=ec.generate_private_key(ec.SECP384R1())).certificate) == ("EC", 384)


def test_a_million_beginnings_without_an_end_take_no_time() -> None:
    begin = b"-----BEGIN CERTIFICATE-----\n"
    assert parse_certificates(begin * 1_000_000, "x") == ()
    with pytest.raises(ArtefactError, match="more than 1000"):
        parse_certificates((begin + b"-----END CERTIFICATE-----\n") * 1_000_000, "x")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12"),
        (b"\x0c\x04Root", b"\x03\x04Root"),
        (b"\x0c\x04Root", b"\x0c\x04\xff\xffot"),
        (b"\x0c\x04Leaf", b"\x0c\x04\xff\xffaf"),
    ],
    ids=["version", "kind of text in a name", "letters of the issuer", "letters of the subject"],
)
def test_damage_that_the_library_would_notice_late_is_noticed_at_once(right: bytes, wrong: bytes) -> None:
    der = issue("Leaf", by=ROOT).certificate.public_bytes(Encoding.DER)
    assert right in der
    with pytest.raises(ArtefactError, match="x holds a certificate that cannot be read"):
        parse_certificates(der.replace(right, wrong), "x")


def test_algorithms_that_nobody_knows_are_said_to_be_unknown() -> None:
    der = LEAF.certificate.public_bytes(Encoding.DER)
    (key,) = parse_certificates(der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")), "x")
    assert key_bits(key) == ("of an unknown kind", 0)
    (signed,) = parse_certificates(der.replace(bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")), "x")
    assert weak_digest(signed) == "an unknown algorithm"
    assert not is_root(signed)
