"""Manifests of RAUC bundles."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from everest_secure.errors import ArtefactError
from everest_secure.image.manifest import parse_manifest


def test_sections_keys_and_comments_are_read_as_glib_does() -> None:
    raw = b"# comment\n[update]\nversion = 1.0 # no comment\n\n[image.rootfs]\nfilename=a.img\n[image.mcu]\nfilename=b.img\nhooks=\n[update]\nbuild=2\n"
    manifest = parse_manifest(raw, "bundle")
    assert manifest.sections["update"] == {"version": "1.0 # no comment", "build": "2"}
    assert list(manifest.images) == ["rootfs", "mcu"]
    assert manifest.filenames == ("a.img", "b.img")


def test_what_is_given_twice_is_told_and_escapes_are_undone() -> None:
    manifest = parse_manifest(b"[update]\n build=a\\sb\n [hooks]\nhooks=x\n[update]\nbuild = c \r\n", "bundle")
    assert manifest.sections["update"] == {"build": "c "}
    assert manifest.repeated == (("update", "build"),)


@pytest.mark.parametrize(
    "raw", [b"key=value\n", b"[a]\nkey=\\q\n", b"[a]\nkey=\0\n", b"[a]\nneither\n", b"\xff\xfe", b"[a]\n=value\n", b"x" * (1 << 20 | 1)]
)
def test_what_is_no_key_file_is_refused(raw: bytes) -> None:
    with pytest.raises(ArtefactError, match="bundle is corrupt"):
        parse_manifest(raw, "bundle")


@given(some.binary())
def test_any_bytes_end_in_a_manifest_or_a_sentence(raw: bytes) -> None:
    with suppress(ArtefactError):
        assert parse_manifest(raw, "bundle").text.encode() == raw
