import subprocess
from pathlib import Path

import pytest

from support.layer import Bench, contents

pytestmark = pytest.mark.layer

FILE = "usr/lib/sysctl.d/60-everest.conf"
SYSCTL = Path("/usr/lib/systemd/systemd-sysctl")
KEYS = Path("/proc/sys")


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
    missing = [key for key in settings if not key.startswith("-") and not (KEYS / key.replace(".", "/")).exists()]
    if not (KEYS / "net/ipv6").exists():
        missing = [key for key in missing if not key.startswith("net.ipv6.")]
    assert missing == []


def test_systemd_sets_the_network_keys_and_the_kernel_keeps_them(settings: dict[str, str], tmp_path: Path) -> None:
    network = {key: value for key, value in settings.items() if key.startswith("net.")}
    if not SYSCTL.exists() or subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("systemd-sysctl is missing or this machine allows no network namespace")
    file = tmp_path / "network.conf"
    file.write_text("".join(f"{key} = {value}\n" for key, value in network.items()))
    paths = [str(KEYS / key.replace(".", "/")) for key in network]
    script = 'echo 1 > /proc/sys/net/ipv4/ip_forward && "$1" "$2" && shift 2 && cat "$@"'
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script, "sh", str(SYSCTL), str(file), *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert dict(zip(network, done.stdout.split(), strict=True)) == network


def test_the_charger_neither_forwards_nor_follows_redirects(settings: dict[str, str]) -> None:
    for key in (
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
        "net.ipv4.conf.all.accept_redirects",
        "net.ipv4.conf.all.send_redirects",
    ):
        assert settings[key] == "0"


def test_a_kernel_that_fails_restarts(settings: dict[str, str]) -> None:
    assert int(settings["kernel.panic"]) > 0
    assert settings["kernel.panic_on_oops"] == "1"
