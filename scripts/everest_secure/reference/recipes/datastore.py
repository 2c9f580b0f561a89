"""BitBake's configuration and recipes, parsed over the stand-in classes; part of the engine's process (it imports `bb`)."""

import fnmatch
import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bb
import bb.cookerdata
import bb.data
import bb.event
import bb.parse

Data = Any
"""A datastore (`bb.data_smart.DataSmart`), conventionally named `d`."""


class RecipeError(Exception):
    """A recipe that cannot be parsed or built; `where` is `file:line` or a file."""

    def __init__(self, recipe: str, where: str, message: str) -> None:
        super().__init__(message)
        self.recipe = recipe
        self.where = where


class RecipeSkippedError(RecipeError):
    """A recipe that this configuration leaves out."""


@dataclass(frozen=True)
class Layers:
    """The parsed configuration of some layers."""

    builder: Any
    """`bb.cookerdata.CookerDataBuilder` after `parseBaseConfiguration`."""
    recipes: Mapping[str, str]
    """Name in a recipe's file name (before the first `_`) to the file."""
    appends: Sequence[str]
    """All bbappend files, in the order of the layers."""

    def parse(self, name: str) -> Data:
        """Parse one recipe with its bbappends; raises RecipeError when it is unknown or wrong, RecipeSkippedError."""
        if name not in self.recipes:
            raise RecipeError(name, "the layer", f"no recipe has this name; known are {', '.join(sorted(self.recipes))}")
        file = self.recipes[name]
        appends = [append for append in self.appends if _applies(append, file)]
        try:
            d = self.builder.parseRecipe(file, appends, None)
        except bb.parse.ParseError as error:
            raise RecipeError(name, f"{error.filename}:{error.lineno}" if error.lineno else str(error.filename), str(error.msg)) from None
        skipped = d.getVar("__SKIPPED", False)
        if skipped:
            raise RecipeSkippedError(name, file, f"it is skipped, {skipped}")
        return d


def load(*, layers: Sequence[Path], top: Path, settings: Mapping[str, str]) -> Layers:
    """Parse `conf/` of the layers; `settings` act like a local.conf. `top` becomes TOPDIR, everything is written below it."""
    (top / "conf").mkdir(parents=True, exist_ok=True)
    (top / "conf/bblayers.conf").write_text(f'BBPATH = "${{TOPDIR}}"\nBBLAYERS = "{" ".join(str(layer) for layer in layers)}"\n')
    os.chdir(top)
    configuration = bb.cookerdata.CookerConfiguration()
    configuration.env = dict(os.environ)
    builder = bb.cookerdata.CookerDataBuilder(configuration, worker=True)
    for name, value in settings.items():
        builder.basedata.setVar(name, value)
    builder.parseBaseConfiguration(worker=True)
    files = [file for pattern in (builder.data.getVar("BBFILES") or "").split() for file in sorted(glob.glob(pattern))]  # noqa: PTH207 - absolute patterns
    return Layers(
        builder=builder,
        recipes={Path(file).stem.split("_")[0]: file for file in files if file.endswith(".bb")},
        appends=[file for file in files if file.endswith(".bbappend")],
    )


def _applies(append: str, recipe: str) -> bool:
    """Whether a bbappend is for a recipe: same name, `%` standing for anything (BitBake manual, "Append Files")."""
    return fnmatch.fnmatchcase(Path(recipe).stem, Path(append).stem.replace("%", "*"))
