import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from everest_secure.errors import ArtefactError
from everest_secure.parse.certificates import is_root, key_bits, parse_certificates
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
