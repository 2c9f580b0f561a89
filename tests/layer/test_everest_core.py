from pathlib import Path

import pytest

from support.layer import Bench, contents

pytestmark = pytest.mark.layer

SOURCE_TREE = (
    "bringup/config-bringup-system.yaml",
    "certs/client/cso/SECC_LEAF.key",
    "config-sil.yaml",
    "nodered/flow.json",
    "run_tmux_helper.sh",
    "user-config/config.yaml",
)
"""What EVerest 2026.02.1 installs below /etc/everest besides what it needs; keys and user-config only where a developer left them."""


def layer_that_installs(place: Path) -> Path:
    """A layer with which EVerest's recipe installs SOURCE_TREE too."""
    (place / "conf").mkdir(parents=True)
    (place / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bbappend"\nBBFILE_COLLECTIONS += "test"\n')
    lines = "".join(f"    install -D /dev/null ${{D}}${{sysconfdir}}/everest/{name}\n" for name in SOURCE_TREE)
    (place / "everest-core_%.bbappend").write_text(f"do_install:prepend() {{\n{lines}}}\n")
    return place


def installed(layer: Bench, place: Path, **settings: str) -> set[str]:
    recipe = layer.build("everest-core", settings, extra_layers=(layer_that_installs(place),))
    prefix = "/etc/everest/"
    return {path.removeprefix(prefix) for package in recipe.packages for path in contents(package) if path.startswith(prefix)}


def test_nothing_of_the_source_tree_reaches_the_configuration(layer: Bench, tmp_path: Path) -> None:
    assert installed(layer, tmp_path) == {"default_logging.cfg"}


def test_without_the_distro_feature_everest_installs_what_it_likes(layer: Bench, tmp_path: Path) -> None:
    assert installed(layer, tmp_path, **{"DISTRO_FEATURES:remove": "everest-secure"}) >= set(SOURCE_TREE)
