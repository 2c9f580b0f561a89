from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_secure.pki import uri
from everest_secure.pki.errors import PkiError
from everest_secure.pki.uri import TokenUri


def test_a_uri_names_token_key_and_library() -> None:
    found = uri.parse("pkcs11:token=My%20HSM;serial=0a1b;object=signer;id=%00%ff;type=private?module-path=/usr/lib/a%20b.so")
    assert found == TokenUri(token="My HSM", serial="0a1b", object="signer", id=b"\x00\xff", module_path="/usr/lib/a b.so")
    assert found.names_key
    assert not found.of_token().names_key


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:token=release",
        "pkcs11:token=My%20HSM%3B%3F;object=a%2Fb;id=%00%FF;type=private",
        "pkcs11:manufacturer=SoftHSM%20project;model=SoftHSM%20v2;serial=c8;object=%C3%BC;type=private?module-path=/usr/lib/x.so",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(uri.parse(text)) == text


@pytest.mark.parametrize("secret", ["?pin-value=123456", ";pin-value=123456", "?pin-source=/etc/pin", "?module-path=/x&pin-value=123456"])
def test_a_uri_with_a_pin_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(PkiError, match="--pin-env or --pin-fd") as refused:
        uri.parse(f"pkcs11:token=release{secret}")
    assert "123456" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("signer.key.pem", "is no PKCS#11 URI"),
        ("pkcs11:token=a b", "is no PKCS#11 URI"),
        ("pkcs11:token=%4", "is no PKCS#11 URI"),
        ("pkcs11:token=\x1b[2J", "is no PKCS#11 URI"),
        ("pkcs11:token", "no attribute with a value"),
        ("pkcs11:token=a;;object=b", "no attribute with a value"),
        ("pkcs11:token=a;token=b", "says 'token' twice"),
        ("pkcs11:token=a;type=cert", "names no private key"),
        ("pkcs11:slot-id=3", "looks for 'slot-id'; use id, manufacturer"),
        ("pkcs11:token=%ff", "no UTF-8"),
        ("pkcs11:token=" + "a" * 5000, "is no PKCS#11 URI"),
    ],
)
def test_what_is_no_uri_of_a_key_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        uri.parse(text)


WORDS = "pkcs11:|token=|object=|id=|type=|private|module-path=|pin-value=|;|?|&|=|%|%41|%ff|/|release"


@given(st.lists(st.sampled_from(WORDS.split("|")) | st.text(max_size=3), max_size=20).map("".join))
def test_whatever_is_given_is_a_uri_that_reads_as_it_is_written_or_one_sentence(text: str) -> None:
    with suppress(PkiError):
        assert uri.parse(str(uri.parse(text))) == uri.parse(text)
