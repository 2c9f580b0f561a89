"""The kernel's settings as the real systemd applies them (NET-05, KERN-01, BOOT-05)."""

import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from support.layer import Bench, contents

pytestmark = pytest.mark.layer

FILE = "usr/lib/sysctl.d/60-everest.conf"
SYSCTL = Path("/usr/lib/systemd/systemd-sysctl")
KEYS = Path("/proc/sys")
OF_SYSTEMD = "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n"
"""What systemd's own 50-default.conf says of a key that is set here too."""


@pytest.fixture
def settings(layer: Bench) -> dict[str, str]:
    """Keys as they stand in the file, with a dash where the kernel need not have them."""
    package = layer.package("everest-sysctl")
    assert contents(package) == {f"/{FILE}": 0o644}
    lines = [line for line in (package.files / FILE).read_text().splitlines() if line and not line.startswith("#")]
    found = [line.partition(" = ")[::2] for line in lines]
    assert len({key for key, _ in found}) == len(found), "a key stands there twice"
    return dict(found)


def test_every_key_without_a_dash_is_one_of_the_kernel(settings: dict[str, str]) -> None:
    missing = [key for key in settings if not key.startswith("-") and not list(KEYS.glob(key.replace(".", "/")))]
    if not (KEYS / "net/ipv6").exists():
        missing = [key for key in missing if not key.startswith("net.ipv6.")]
    assert missing == []


def test_systemd_sets_the_network_keys_of_every_interface_whatever_it_had_before(settings: dict[str, str], tmp_path: Path) -> None:
    network = {key: value for key, value in settings.items() if key.startswith("net.")}
    if not SYSCTL.exists() or subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("systemd-sysctl is missing or this machine allows no network namespace")
    files = tmp_path / "50-systemd.conf", tmp_path / "60-everest.conf"
    files[0].write_text(OF_SYSTEMD)
    files[1].write_text("".join(f"{key} = {value}\n" for key, value in network.items()))
    patterns = [str(KEYS / key.replace(".", "/")) for key in network]
    show = 'for file in $patterns; do echo "$file $(cat "$file")"; done'
    script = f"""patterns="{" ".join(patterns)}"
for file in $patterns; do echo 1 > $file; done
echo 0 > /proc/sys/net/ipv4/tcp_syncookies
"{SYSCTL}" "{files[0]}" "{files[1]}" && {show}"""
    done = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    assert "/proc/sys/net/ipv4/conf/lo/accept_redirects" in found, "an interface's own settings are looked at"
    wanted = {file: value for pattern, value in zip(patterns, network.values(), strict=True) for file in found if fnmatch(file, pattern)}
    assert found == wanted


@pytest.mark.parametrize("what", ["forwarding", "accept_redirects"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_no_interface_forwards_or_follows_a_redirect(settings: dict[str, str], family: str, what: str) -> None:
    assert settings[f"net.{family}.conf.*.{what}"] == "0"


def test_nobody_fills_the_journal_with_packets_from_nowhere(settings: dict[str, str]) -> None:
    assert settings["net.ipv4.conf.*.log_martians"] == "0"


def test_a_kernel_that_fails_restarts(settings: dict[str, str]) -> None:
    assert int(settings["kernel.panic"]) > 0
    assert settings["kernel.panic_on_oops"] == "1"
