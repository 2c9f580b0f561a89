"""The demonstration as a user runs it, on the real tools, and what becomes of it when one thing in the layer is broken."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / "build" / "cache"
PROGRAM = (PROJECT / "scripts" / "as-root.sh", Path(sys.executable).parent / "everest-secure")
BUILT_IN = (
    *("FS-01", "FS-02", "FS-03", "FS-05", "FS-06", "ACC-01", "ACC-02", "ACC-03", "ACC-04", "ACC-05", "ACC-06"),
    *("NET-01", "NET-03", "NET-04", "NET-05", "NET-06", "NET-07", "TLS-02", "RAUC-01", "RAUC-02", "RAUC-03", "RAUC-04"),
    *("RAUC-05", "RAUC-06", "RAUC-09", "LOG-02", "LOG-03", "DOC-01"),
    *("NET-08", "BOOT-01", "BOOT-02", "BOOT-05", "KERN-01", "KERN-02", "BIN-01"),
)

REFUSED = {
    *("BIN-02", "TLS-01", "TPM-02", "RAUC-02", "OCPP-01", "NET-06"),
    *("BIN-01", "BOOT-01", "BOOT-05", "KERN-01"),
    *("SUP-01", "SUP-02", "SUP-03"),
}


def everest_secure(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(argument) for argument in (*PROGRAM, *arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def demo(directory: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return everest_secure("demo", "--directory", directory, "--cache", CACHE, *options)


def outcomes(report: Path) -> Mapping[str, str]:
    return {result["id"]: result["outcome"] for result in json.loads(report.read_text())["results"]}


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the demonstration has been made once; its keys serve the other tests too."""
    directory = tmp_path_factory.mktemp("demo")
    done = demo(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A copy of the layer to break."""
    return Path(shutil.copytree(PROJECT / "meta-everest-secure", tmp_path / "meta-everest-secure"))


def test_the_demonstration_leaves_an_image_a_bundle_and_a_report_in_which_all_that_is_checked_holds(workshop: Path) -> None:
    assert {path.name for path in (workshop / "demo").iterdir()} == {
        "everest-secure-image-development.raw",
        "everest-secure-image-development.raucb",
        "everest-secure-image-development.manifest.json",
        "report.html",
        "report.json",
    }
    found = outcomes(workshop / "demo" / "report.json")
    assert {identifier: found[identifier] for identifier in BUILT_IN} == dict.fromkeys(BUILT_IN, "pass")
    assert not {"fail", "error"} & set(found.values())


def test_the_production_profile_refuses_the_reference_image_for_its_keys_stand_ins_debian_and_what_only_a_product_has(
    workshop: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    done = everest_secure("check", "--profile", "production", "--json", report, workshop / "demo" / "everest-secure-image-development.raw")
    assert done.returncode == 1
    assert {identifier for identifier, outcome in outcomes(report).items() if outcome == "fail"} == REFUSED


def test_the_bundle_verifies_with_rauc_and_by_itself(workshop: Path) -> None:
    bundle = workshop / "demo" / "everest-secure-image-development.raucb"
    keyring = workshop / "keys" / "development" / "keyring.pem"
    done = everest_secure("bundle", "verify", bundle, "--keyring", keyring)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broker_without_its_listener_turns_the_demonstration_red_by_id(workshop: Path, layer: Path) -> None:
    configuration = layer / "recipes-connectivity/everest-broker-conf/files/everest-broker.conf"
    lines = configuration.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("listener")]
    assert len(kept) == len(lines) - 1
    configuration.write_text("".join(kept))
    done = demo(workshop, "--layer", layer)
    assert done.returncode == 1
    assert "NET-01" in done.stdout
    found = outcomes(workshop / "demo" / "report.json")
    assert [identifier for identifier, outcome in found.items() if outcome == "fail"] == ["NET-01"]


def test_an_sshd_that_lets_root_in_stops_the_demonstration_by_id_and_leaves_the_last_results(workshop: Path, layer: Path) -> None:
    recipe = layer / "recipes-connectivity" / "sshd" / "sshd_1.0.bb"
    (recipe.parent / "files").mkdir(parents=True)
    (recipe.parent / "files" / "sshd_config").write_text("PermitRootLogin yes\n")
    recipe.write_text(
        'SUMMARY = "Remote login"\nLICENSE = "Apache-2.0"\nSRC_URI = "file://sshd_config"\ninherit allarch\n'
        "do_install() {\n"
        "    install -D -m 0644 ${WORKDIR}/sshd_config ${D}${sysconfdir}/ssh/sshd_config\n"
        "    install -D -m 0755 ${WORKDIR}/sshd_config ${D}${sbindir}/sshd\n"
        "}\n"
    )
    group = layer / "recipes-core/packagegroups/packagegroup-everest-secure.bb"
    group.write_text(group.read_text() + '\nRDEPENDS:${PN} += "sshd"\n')
    before = (workshop / "demo" / "report.json").read_bytes()
    done = demo(workshop, "--layer", layer)
    assert done.returncode == 2
    assert "NET-06: /usr/sbin/sshd" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (workshop / "demo" / "report.json").read_bytes() == before
