"""The harness itself: what it says when a recipe is wrong, and that it works for everybody."""

from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.layer import Bench

pytestmark = pytest.mark.layer


def layer_with(place: Path, recipe: str) -> Path:
    """A layer that holds one recipe, `wrong`."""
    (place / "conf").mkdir(parents=True)
    (place / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bb"\nBBFILE_COLLECTIONS += "test"\n')
    (place / "wrong_1.0.bb").write_text(recipe)
    return place


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ('SUMMARY = "x"\nthis is no recipe\n', r"wrong_1\.0\.bb:2: unparsed line"),
        ("inherit no-such-class\n", r"no-such-class"),
        ("do_install() {\n    install -d ${D}/x\n    false\n}\n", r"wrong_1\.0\.bb:1: do_install failed"),
        ('do_install() {\n    bbfatal "the reason"\n}\n', r"do_install failed: the reason"),
        ('SRC_URI = "file://missing.conf"\n', r"do_fetch failed: .*missing\.conf"),
        ('python () {\n    bb.fatal("not like this")\n}\n', r"not like this"),
        (
            "do_install() {\n    install -d ${D}/opt\n    touch ${D}/opt/thing\n}\n",
            r"/opt/thing is installed by a recipe but in none of its packages",
        ),
    ],
)
def test_a_wrong_recipe_ends_in_one_sentence(layer: Bench, tmp_path: Path, recipe: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        layer.build("wrong", extra_layers=(layer_with(tmp_path / "layer", recipe),))
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_an_unknown_recipe_is_named(layer: Bench) -> None:
    with pytest.raises(UserError, match="'no-such-recipe' cannot be built"):
        layer.build("no-such-recipe")


def test_a_recipe_built_twice_gives_the_same_files(layer: Bench) -> None:
    def text() -> str:
        return (layer.build("everest-firewall").packages[0].files / "etc/nftables/everest-firewall.nft").read_text()

    assert text() == text()


def test_a_setting_reaches_the_recipe_whatever_characters_it_has(layer: Bench) -> None:
    odd = 'it\'s "quoted" \\ and long'
    assert layer.build("everest-user", {"ODD": odd}, variables=("ODD",)).variables == {"ODD": odd}
