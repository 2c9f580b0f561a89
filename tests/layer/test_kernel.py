"""The kernel's fragments and the audit that holds the finished configuration against them, run by BitBake."""

import re
from pathlib import Path

import pytest

from everest_secure.reference.recipes.harness import BuiltRecipe, RecipeError
from support.kernel import CHOSEN, EVERY_MACHINE, FEATURES, MACHINES, fragments, options
from support.layer import Bench

pytestmark = pytest.mark.layer

RECIPE = """
SUMMARY = "A kernel of which only the configuration matters"
KERNEL_PACKAGE_NAME = "kernel"
KERNEL_VERSION = "6.6.0"
PACKAGES = "kernel-base"
FILES:kernel-base = ""
SRC_URI = "file://finished.config"
B = "${WORKDIR}/build"
do_configure[dirs] = "${B}"
do_configure() {
    cp ${WORKDIR}/finished.config ${B}/.config
}
require recipes-kernel/linux/everest-secure-kernel.inc
"""


def as_asked_for() -> str:
    """A configuration in which every option of every fragment of the layer is as the fragment says."""
    return "\n".join(fragment.read_text() for fragment in sorted(FEATURES.glob("*.cfg")))


def kernel(layer: Bench, place: Path, configuration: str, **settings: str) -> BuiltRecipe:
    """A kernel recipe with the layer's include, whose configuration comes out as given."""
    (place / "conf").mkdir(parents=True)
    (place / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bb"\nBBFILE_COLLECTIONS += "test"\n')
    (place / "files").mkdir()
    (place / "files/finished.config").write_text(configuration)
    (place / "linux-test_6.6.bb").write_text(RECIPE)
    return layer.build("linux-test", settings, extra_layers=(place,))


def test_a_kernel_that_came_out_as_asked_for_carries_its_configuration_into_the_image(layer: Bench, tmp_path: Path) -> None:
    (package,) = kernel(layer, tmp_path, as_asked_for()).packages
    (file,) = package.files.rglob("config")
    assert str(file.relative_to(package.files)) == "usr/lib/modules/6.6.0/config"
    assert options(file.read_text())["CONFIG_MODULE_SIG_FORCE"] == "y"


@pytest.mark.parametrize(
    ("line", "becomes", "complaint"),
    [
        (
            "CONFIG_MODULE_SIG_FORCE=y",
            "# CONFIG_MODULE_SIG_FORCE is not set",
            "CONFIG_MODULE_SIG_FORCE is not set and signed-modules.cfg wants y",
        ),
        ("# CONFIG_DEVMEM is not set", "CONFIG_DEVMEM=y", "CONFIG_DEVMEM is y and hardening.cfg wants it not set"),
        ("CONFIG_NF_TABLES=y", "CONFIG_NF_TABLES=m", "CONFIG_NF_TABLES is m and firewall.cfg wants y"),
        ("CONFIG_WATCHDOG_NOWAYOUT=y", "", "CONFIG_WATCHDOG_NOWAYOUT is not set and watchdog.cfg wants y"),
    ],
)
def test_an_option_that_did_not_make_it_stops_the_build(layer: Bench, tmp_path: Path, line: str, becomes: str, complaint: str) -> None:
    text = as_asked_for()
    assert line in text
    with pytest.raises(RecipeError, match="KERN-01") as caught:
        kernel(layer, tmp_path, text.replace(line, becomes))
    assert complaint in str(caught.value) or complaint in said(layer)


def said(layer: Bench) -> str:
    """What the audit's task wrote into its log."""
    (log,) = {path.resolve() for path in layer.work.rglob("log.do_everest_secure_kernel_audit")}
    return log.read_text()


def test_an_exception_that_the_product_names_is_let_through(layer: Bench, tmp_path: Path) -> None:
    text = as_asked_for().replace("# CONFIG_USB_HID is not set", "CONFIG_USB_HID=y")
    assert kernel(layer, tmp_path, text, EVEREST_KERNEL_EXCEPTIONS="CONFIG_USB_HID").packages


def test_a_configuration_that_is_empty_is_no_pass(layer: Bench, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing to compare"):
        kernel(layer, tmp_path, "# nothing\n")


@pytest.mark.parametrize("machine", MACHINES)
def test_no_two_fragments_of_a_machine_contradict_each_other(machine: str) -> None:
    merged: dict[str, str] = {}
    for fragment in fragments(*MACHINES[machine][1]):
        found = options(fragment.read_text())
        assert found, fragment.name
        assert {name: (merged[name], value) for name, value in found.items() if merged.get(name, value) != value} == {}, fragment.name
        merged |= found


def test_every_fragment_belongs_to_a_feature_that_some_machine_has() -> None:
    used = {fragment.name for _, features in MACHINES.values() for fragment in fragments(*features, *CHOSEN)}
    assert used == {path.name for path in FEATURES.glob("*.cfg")}
    assert len(fragments(EVERY_MACHINE)) >= 9


def test_every_line_of_a_fragment_is_an_option_or_a_comment_and_every_block_names_its_requirement() -> None:
    for fragment in FEATURES.glob("*.cfg"):
        for block in fragment.read_text().rstrip("\n").split("\n\n"):
            head, *lines = block.splitlines()
            assert re.match(r"# [A-Z]+-\d\d\b", head), (fragment.name, head)
            assert lines, (fragment.name, head)
            assert [line for line in lines if not re.fullmatch(r"CONFIG_\w+=\S+|# CONFIG_\w+ is not set", line)] == [], fragment.name
