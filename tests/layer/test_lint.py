import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.layer import LAYER

pytestmark = pytest.mark.layer

ROOT = LAYER.parent


@pytest.mark.parametrize("layer", [LAYER, ROOT / "meta-everest-prebuilt"], ids=lambda path: path.name)
def test_oelint_has_nothing_to_say_of_any_recipe(layer: Path) -> None:
    recipes = [*layer.rglob("*.bb"), *layer.rglob("*.bbappend")]
    assert len(recipes) >= 10
    linter = Path(sys.executable).with_name("oelint-adv")
    done = subprocess.run([linter, "--quiet", *recipes], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_recipe_names_the_requirements_that_it_serves() -> None:
    silent = [recipe.name for recipe in LAYER.rglob("*.bb") if not recipe.read_text().startswith("# Requirement")]
    assert silent == []


def test_every_knob_is_documented() -> None:
    lines = (LAYER / "conf/distro/include/everest-secure-knobs.inc").read_text().splitlines()
    knobs = {line.split()[0] for line in lines if re.match(r"\w+ (\?\?|\+)?= ", line)}
    assert len(knobs) >= 15
    assert knobs == {line.partition("[doc]")[0] for line in lines if "[doc]" in line}
