import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.userdb import read_other_secrets
from support.rootfs import RootFs


def paths(fs: RootFs) -> list[str]:
    return [path for path, _ in read_other_secrets(fs.tree)]


def test_a_locked_record_and_an_ordinary_credential_let_nobody_in() -> None:
    fs = (
        RootFs()
        .file("/etc/userdb/a.user", '{"privileged": {"hashedPassword": ["!$6$a$b"]}}')
        .file("/usr/lib/credstore/firstboot.locale", "C")
    )
    assert paths(fs) == []


def test_the_privileged_part_of_a_record_is_read_too() -> None:
    assert paths(RootFs().file("/usr/lib/userdb/a.user-privileged", '{"hashedPassword": ["$6$a$b"]}')) == [
        "/usr/lib/userdb/a.user-privileged"
    ]


def test_a_record_that_is_no_json_is_refused() -> None:
    with pytest.raises(ArtefactError, match="no JSON"):
        paths(RootFs().file("/etc/userdb/a.user", "{"))
