"""Each top file of kas on the real layers: pinned commits, and recipes of ours that parse without a word."""

import json
import re
from pathlib import Path

import pytest

from everest_secure.build.kas import Kas
from support.kas import TOP_FILES
from support.yocto import LAYER, PROJECT, QUICK, Checkout, complaints

pytestmark = pytest.mark.yocto
each_top_file = pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
PARSED = re.compile(r"(\d+) \.bb files complete .* (\d+) errors")
OF_THE_OTHER_VARIANT = {"everest-secure-image", "everest-secure-bundle"}
"""Refused in a development build."""


@each_top_file
def test_every_pinned_commit_exists_upstream(checkout: Checkout, top: Path) -> None:
    done = checkout.kas("--log-level", "error", "dump", "--resolve-refs", "--format", "json", f"kas/{top.name}")
    assert done.returncode == 0, done.stdout
    resolved = {name: entry["commit"] for name, entry in json.loads(done.stdout)["repos"].items() if entry.get("url")}
    assert resolved == {repository.name: repository.revision for repository in Kas((top,), PROJECT).configuration().repositories}


def parsed_without_complaints(checkout: Checkout, top: Path, *, at_least: int, lines: str = "") -> None:
    commands = f"bitbake --parse-only && bitbake-layers show-recipes --layer {LAYER}"
    done = checkout.shell(f"kas/{top.name}", commands, lines=lines)
    assert done.returncode == 0, done.stdout
    parsed = PARSED.search(done.stdout)
    assert parsed, done.stdout
    assert int(parsed[1]) > at_least
    assert parsed[2] == "0"
    assert complaints(done.stdout, LAYER) == []
    shown = re.findall(rf"^(\S+):\n  {LAYER} +\S+( \(skipped: .*\))?$", done.stdout, re.MULTILINE)
    assert {name for name, skipped in shown if not skipped} | OF_THE_OTHER_VARIANT == {
        recipe.stem.partition("_")[0] for recipe in (PROJECT / LAYER).rglob("*.bb")
    }


@each_top_file
def test_bitbake_parses_our_recipes_with_no_warning_and_skips_none(checkout: Checkout, top: Path) -> None:
    parsed_without_complaints(checkout, top, at_least=40, lines=QUICK)


@pytest.mark.full
@each_top_file
def test_bitbake_parses_all_layers_with_no_warning_from_ours_and_skips_none_of_its_recipes(checkout: Checkout, top: Path) -> None:
    parsed_without_complaints(checkout, top, at_least=1000)
