"""The layer as a whole against all of upstream: what it needs resolves, the Yocto Project's own check passes, OE-Core's testimage finds the cases."""

import json
import re
from pathlib import Path

import pytest

from support.yocto import LAYER, OFFLINE, Checkout, complaints

pytestmark = pytest.mark.yocto

OPTIONS = ("secure-boot", "data-encryption", "mqtt-api", "hawkbit", "crypt-bundle", "adaptive-updates")
NEIGHBOURS = (
    "meta-openembedded/meta-oe",
    "meta-openembedded/meta-python",
    "meta-openembedded/meta-networking",
    "meta-security/meta-tpm",
    "meta-rauc",
)
"""LAYERDEPENDS of the layer."""
MASK = "/meta-openembedded/ /meta-rauc/recipes-(?!core/) /meta-tpm/recipes-(?!tpm2/tpm2-(?:abrmd|openssl|tss)/)"
"""Recipes of neighbours that this layer neither changes nor needs to change others. Some lack what further layers would bring them (casync, tpm2-pytss)."""
LOADER = Path(__file__).parent.parent / "support/load_oeqa.py"


@pytest.mark.full
def test_everything_that_image_and_bundle_need_with_all_options_exists_and_has_static_ids(checkout: Checkout) -> None:
    chain = ":".join(["kas/qemux86-64.yml", *(f"kas/opt/{option}.yml" for option in OPTIONS)])
    targets = "everest-secure-image-development everest-secure-bundle-development"
    done = checkout.shell(chain, f"bitbake -g {targets} && bitbake --dry-run {targets}")
    assert done.returncode == 0, done.stdout[-10000:]
    assert re.search(r"Tasks Summary: Attempted (\d{4,}) tasks .* all succeeded", done.stdout), done.stdout[-10000:]
    assert complaints(done.stdout, LAYER) == []
    assert (
        'everest-secure-image-development.do_uki" -> "everest-secure-image-development.do_image_erofs_lz4hc'
        in (checkout.user.directory / "build/task-depends.dot").read_text()
    )
    needed = set((checkout.user.directory / "build/pn-buildlist").read_text().split())
    assert {"everest-core", "everest-mqtt-api", "rauc-hawkbit-updater", "tpm2-openssl", "linux-yocto"} <= needed
    assert not needed & {"avahi", "bluez5", "dropbear", "gdb", "nodejs", "openssh", "polkit", "strace", "wpa-supplicant"}
    chosen = set(
        re.findall(
            r'label="tpm2-openssl do_package\\n[^"]*?([^/"]+)\.bb"', (checkout.user.directory / "build/task-depends.dot").read_text()
        )
    )
    assert [version for version in chosen if not version.endswith(("_1.2.0", "_1.3.0"))] == []
    assert chosen


@pytest.mark.full
def test_the_layer_is_compatible_by_the_yocto_project_s_own_check(checkout: Checkout) -> None:
    layers = checkout.user.directory / "layers"
    script = (
        f". {layers}/openembedded-core/oe-init-build-env {checkout.user.directory}/check-layer > /dev/null"
        f' && printf %s \'{OFFLINE}BBMASK = "{MASK}"\nBB_DANGLINGAPPENDS_WARNONLY = "1"\n\' >> conf/local.conf'
        f" && yocto-check-layer --no-auto-dependency {checkout.user.directory / LAYER}"
        f" --dependency {' '.join(str(layers / name) for name in NEIGHBOURS)}"
    )
    done = checkout.user.run("bash", "-c", script, env={"LC_ALL": "en_US.UTF-8"})
    assert done.returncode == 0, done.stdout
    assert re.search(rf"INFO: {LAYER} \.+ PASS", done.stdout), done.stdout


def test_testimage_finds_the_cases_and_each_waits_for_a_login(checkout: Checkout) -> None:
    layers = checkout.user.directory / "layers"
    libraries = (layers / "openembedded-core/meta/lib", layers / "bitbake/lib")
    cases = (libraries[0] / "oeqa/runtime/cases", checkout.user.directory / LAYER / "lib/oeqa/runtime/cases")
    done = checkout.user.run("/usr/bin/python3", "-c", LOADER.read_text(), *libraries, *cases, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout
    loaded = json.loads(done.stdout.splitlines()[-1])
    ours = [name for name in loaded if name.startswith("everest_hardening.")]
    assert len(ours) >= 20
    assert loaded[:2] == ["ping.PingTest.test_ping", "ssh.SSHTest.test_ssh"], "cases that depend on a login come after it"
