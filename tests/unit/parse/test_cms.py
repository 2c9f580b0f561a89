"""CMS SignedData made by openssl, and what is left of it when it is damaged where only a late look shows it."""

from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.cms import verify_signed_data
from support.images import throw_away_signer, tool


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place: Path = tmp_path_factory.mktemp("cms")
    key, certificate = throw_away_signer(place)
    (place / "content").write_bytes(b"content")
    return tool(
        "openssl",
        "cms",
        "-sign",
        "-nodetach",
        "-binary",
        "-outform",
        "DER",
        "-in",
        place / "content",
        "-inkey",
        key,
        "-signer",
        certificate,
    )


def test_the_content_and_its_signer_are_returned(signed: bytes) -> None:
    data = verify_signed_data(signed, "x")
    assert data.content == b"content"
    assert [each.signer.subject.rfc4514_string() for each in data.signatures] == ["CN=test"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"\x0c\x04test", b"\x0c\x04\xff\xffst"),
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12"),
        (b"content", b"contenT"),
        (bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040280")),
    ],
    ids=["letters of a name", "version of a certificate", "content", "digest"],
)
def test_damage_is_one_sentence(signed: bytes, right: bytes, wrong: bytes) -> None:
    assert right in signed
    with pytest.raises(ArtefactError, match=r"^x "):
        verify_signed_data(signed.replace(right, wrong), "x")
