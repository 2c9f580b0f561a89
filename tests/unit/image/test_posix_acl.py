import pytest

from everest_secure.image.posix_acl import acl_from_text
from support.images import ACL


@pytest.mark.parametrize(
    "text",
    [
        b"user::rw-\nuser:1500:r--\ngroup::r--\nmask::r--\nother::---\n",
        b"u::rw-,u:1500:r--,g::r--,m::r--,o::---",
        b"user::rw-,user:everest:r--:1500,group::r--,mask::r--,other::---",
        b"other::---,mask::r--,group::r--,user:1500:r--\t#effective:r--\n# a comment\nuser::rw-",
    ],
)
def test_an_access_list_is_the_kernel_s(text: bytes) -> None:
    assert acl_from_text(text) == ACL


def test_a_list_that_says_what_the_mode_says_is_none() -> None:
    assert acl_from_text(b"user::rw-\ngroup::r--\nother::---\n") is None


def test_a_name_that_cannot_be_resolved_here_is_an_entry_all_the_same() -> None:
    found = acl_from_text(b"user::rw-,user:somebody:rwx,group::r--,mask::rwx,other::---")
    assert found is not None
    assert found[12:20] == b"\x02\0\x07\0\xff\xff\xff\xff"


@pytest.mark.parametrize("text", [b"", b"user", b"nobody::rwx", b"user::rwxx", b"user::abc", b"user::rw-," * 2000, b":::", b"user:1:2:3:4"])
def test_what_is_no_access_list_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="no access list"):
        acl_from_text(text)
