from dataclasses import replace

import pytest

from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import failing, good_root, production

CONFIG = "/etc/everest/config.yaml"
MARK = "/usr/lib/everest-secure/stand-ins.json"

MUTATIONS = [
    Mutation(
        "the manager is a script without a mark", "BIN-02", lambda fs: fs.file("/usr/bin/manager", "#!/usr/bin/python3\n", mode=0o755)
    ),
    Mutation("the image holds stand-ins", "BIN-02", lambda fs: fs.file(MARK, '{"kind": "reference"}')),
    Mutation("a debugger is installed", "BIN-02", lambda fs: fs.file("/usr/bin/gdb", b"\x7fELF", mode=0o755)),
    Mutation(
        "a compiler's package is installed",
        "BIN-02",
        lambda fs: fs.file("/var/lib/dpkg/status", "Package: gcc-13\nVersion: 13\nStatus: install ok installed\n"),
    ),
    Mutation(
        "a debugger for another ABI waits to be configured",
        "BIN-02",
        lambda fs: fs.file("/var/lib/opkg/status", "Package: lib32-gdb\nVersion: 14\nStatus: install user unpacked\n"),
    ),
    Mutation(
        "updates are only simulated",
        "BIN-02",
        lambda fs: fs.replace(CONFIG, "module: Linux_Systemd_Rauc", "module: System"),
        also=("TLS-01",),
    ),
    Mutation("a simulator is installed", "BIN-02", lambda fs: fs.file("/usr/libexec/everest/modules/DummyV2G/manifest.yaml", "x")),
    Mutation("a sample configuration is installed", "BIN-02", lambda fs: fs.file("/etc/everest/config-sil.yaml", "active_modules: {}\n")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_simulator_is_found_where_the_configuration_has_its_modules() -> None:
    fs = (
        good_root().replace(CONFIG, "^settings:", "settings:\n  modules_dir: /opt/modules").file("/opt/modules/DummyV2G/manifest.yaml", "x")
    )
    assert failing(fs)["BIN-02"] == ("the module DummyV2G is installed",)


def test_a_profile_for_reference_images_allows_stand_ins() -> None:
    fs = good_root()
    fs.file(MARK, '{"kind": "reference"}')
    assert not failing(fs, replace(production(), stand_ins=True))


def test_a_removed_package_is_not_installed() -> None:
    fs = good_root()
    fs.file(
        "/var/lib/dpkg/status",
        "Package: gcc-13\nVersion: 13\nStatus: deinstall ok config-files\n\nPackage: bash\nStatus: install ok installed\n",
    )
    assert not failing(fs)


def test_a_package_list_that_cannot_be_read_is_an_error() -> None:
    fs = good_root()
    fs.file("/var/lib/rpm/rpmdb.sqlite", "SQLite format 3")
    assert all(wrong[0].startswith("error: ") for wrong in failing(fs).values())
    assert set(failing(fs)) == {"NET-03", "NET-06", "BIN-02", "TPM-01"}
