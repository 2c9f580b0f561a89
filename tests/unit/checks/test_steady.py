import pytest

from everest_secure.checks.steady import hidden_by
from support.rootfs import LOCAL, good_root


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/etc/rauc/system.conf", ""),
        ("/var/lib/x", "/var"),
        ("/run/x", "/run"),
        ("/etc/everest/certs/x", "/etc/everest/certs"),
        ("/variable", ""),
    ],
)
def test_a_file_is_hidden_by_the_mount_above_it(path: str, place: str) -> None:
    assert hidden_by(good_root().root, path) == place


def test_an_overlay_on_etc_hides_all_of_it() -> None:
    fs = good_root().file(f"{LOCAL}/etc.mount", "[Mount]\nWhat=overlay\nWhere=/etc\nType=overlay\n")
    fs.link(f"{LOCAL}/local-fs.target.wants/etc.mount", "../etc.mount")
    assert hidden_by(fs.root, "/etc/rauc/system.conf") == "/etc"
