"""Runs in BitBake's environment: parses, and answers the questions in one JSON file with another. Recipes are named by what they provide."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(shutil.which("bitbake") or "").parent.parent / "lib"))
import bb.tinfoil


def value(recipe: Any, variable: str) -> object:
    """Return a variable, or one of its flags: `NAME[flag]`."""
    name, _, flag = variable.rstrip("]").partition("[")
    return recipe.getVarFlag(name, flag) if flag else recipe.getVar(name)


def main() -> None:
    """Write {values, appends, skipped}."""
    questions = json.loads(Path(sys.argv[1]).read_text())
    with bb.tinfoil.Tinfoil() as tinfoil:
        tinfoil.prepare(quiet=2)
        values = {}
        appends = {}
        for name, variables in questions.items():
            recipe = tinfoil.parse_recipe(name) if name else tinfoil.config_data
            values[name] = {variable: value(recipe, variable) for variable in variables}
            appends[name] = tinfoil.get_file_appends(tinfoil.get_recipe_file(name)) if name else []
        skipped = {reason.pn: reason.skipreason for reason in tinfoil.get_skipped_recipes().values()}
    Path(sys.argv[2]).write_text(json.dumps({"values": values, "appends": appends, "skipped": skipped}))


if __name__ == "__main__":
    main()
