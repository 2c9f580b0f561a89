"""The main program's side of the recipe harness: typed requests to the engine's process, packages split the way OE does.

A request is `{action, names, layers, work, settings, variables, rootfs, task}`; a reply `{recipes: [...]}` or `{error: {recipe, where, message}}`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everest_secure.errors import UserError
from everest_secure.paths import PACKAGE
from everest_secure.reference.recipes.packages import split
from everest_secure.run import run

STANDINS = PACKAGE / "reference" / "standins"


class RecipeError(UserError):
    """A recipe of this layer cannot be parsed or built."""


@dataclass(frozen=True, slots=True)
class BuiltPackage:
    """One package of a recipe, as a package manager would install it; everything in it belongs to root."""

    name: str
    summary: str
    files: Path
    """Directory that holds the package's files under their target paths."""
    depends: tuple[str, ...]
    """RDEPENDS: `name` or `name (>= version)`."""
    recommends: tuple[str, ...]
    provides: tuple[str, ...]
    groups: tuple[str, ...]
    """Arguments of groupadd(8), one call each: `-g 1500 everest`."""
    users: tuple[str, ...]
    """Arguments of useradd(8), one call each."""
    memberships: tuple[str, ...]
    """Arguments of groupmems(8), one call each."""
    services: tuple[str, ...]
    """Units that the package declares by SYSTEMD_SERVICE."""
    enabled: bool
    """Whether these are enabled on installation (SYSTEMD_AUTO_ENABLE)."""


@dataclass(frozen=True, slots=True)
class BuiltRecipe:
    """A parsed recipe with the result of its `do_install`."""

    name: str
    version: str
    summary: str
    licence: str
    file: Path
    image: Path
    """What `do_install` left (`D`); does not exist for images and bundles."""
    packages: tuple[BuiltPackage, ...]
    """Packages that OE would create: those with files, and empty ones with ALLOW_EMPTY."""
    variables: Mapping[str, str]
    """The variables that were asked for, expanded; empty when unset."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where recipes come from and where they are built."""

    layer: Path
    """The layer `meta-everest-secure`."""
    work: Path
    """A directory of the caller's; everything is written below it."""
    settings: Mapping[str, str]
    """Variables as a local.conf would set them: `MACHINE`, `EVEREST_...`."""
    extra_layers: tuple[Path, ...] = ()
    """Layers parsed after it, for example a product's."""


def build_recipes(
    names: Sequence[str],
    *,
    layer: Path,
    work: Path,
    settings: Mapping[str, str],
    variables: Sequence[str] = (),
    extra_layers: Sequence[Path] = (),
) -> list[BuiltRecipe]:
    """Parse recipes with their bbappends and run their fetch, unpack and install tasks.

    Works as root and as a normal user. Raises RecipeError, one sentence with recipe, file and line, when one cannot be parsed or a task fails.
    """
    workshop = Workshop(layer, work, settings, tuple(extra_layers))
    return [_built(recipe, work) for recipe in _ask("build", names, workshop, variables)]


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that a recipe can make, before it is built."""

    name: str
    recipe: str
    needs: frozenset[str]
    """Names of the packages that it depends on or recommends."""


def survey(names: Sequence[str], *, layer: Path, work: Path, settings: Mapping[str, str]) -> list[Offer]:
    """Return what recipes offer without running a task; those that this configuration leaves out offer nothing. Raises RecipeError."""
    return [
        Offer(package["name"], recipe["name"], frozenset(entry.split()[0] for entry in (*package["depends"], *package["recommends"])))
        for recipe in _ask("survey", names, Workshop(layer, work, settings), ())
        for package in recipe["packages"]
    ]


def read_recipe(name: str, variables: Sequence[str], *, layer: Path, work: Path, settings: Mapping[str, str]) -> Mapping[str, str]:
    """Return expanded variables of a recipe, an image or a bundle without running a task; raises RecipeError."""
    (recipe,) = _ask("describe", [name], Workshop(layer, work, settings), variables)
    found: dict[str, str] = recipe["variables"]
    return found


def run_task(name: str, task: str, *, layer: Path, work: Path, settings: Mapping[str, str]) -> BuiltRecipe:
    """Run one task of a recipe alone, on what lies in its WORKDIR; raises RecipeError when it cannot be parsed or fails."""
    (recipe,) = _ask("task", [name], Workshop(layer, work, settings), (), task=task)
    return _built(recipe, work)


def run_image_hooks(name: str, *, rootfs: Path, layer: Path, work: Path, settings: Mapping[str, str]) -> None:
    """Run an image recipe's ROOTFS_POSTPROCESS_COMMAND and IMAGE_QA_COMMANDS on the root file system at `rootfs`, which they change.

    Raises RecipeError when a hook fails or the image's QA finds something.
    """
    _ask("hooks", [name], Workshop(layer, work, settings), (), rootfs=rootfs)


def _ask(
    action: str, names: Sequence[str], workshop: Workshop, variables: Sequence[str], *, rootfs: Path | None = None, task: str = ""
) -> list[dict[str, Any]]:
    """Start the engine with one request; raises RecipeError for what it refuses, ToolError when it cannot run."""
    workshop.work.mkdir(parents=True, exist_ok=True)
    request = {
        "action": action,
        "names": list(names),
        "layers": [str(path.resolve()) for path in (STANDINS, workshop.layer, *workshop.extra_layers)],
        "work": str(workshop.work.resolve()),
        "settings": dict(workshop.settings),
        "variables": list(variables),
        "rootfs": str(rootfs.resolve()) if rootfs else "",
        "task": task,
    }
    module = "everest_secure.reference.recipes.engine"
    said = run(
        [sys.executable, "-m", module], env={"PYTHONPATH": f"{PACKAGE.parent}:{STANDINS / 'python'}"}, stdin=json.dumps(request).encode()
    )
    reply = json.loads(said)
    if "error" in reply:
        error = reply["error"]
        recipe = f"recipe '{error['recipe']}'" if error["recipe"] else "the layer"
        raise RecipeError(f"{recipe} cannot be built, mend {error['where']}: {error['message']}")
    recipes: list[dict[str, Any]] = reply["recipes"]
    return recipes


def _built(recipe: Mapping[str, Any], work: Path) -> BuiltRecipe:
    """Split what a recipe installed into its packages."""
    image = Path(recipe["image"])
    patterns = {package["name"]: package["patterns"] for package in recipe["packages"]}
    owners = split(image, patterns, work / "packages" / recipe["name"]) if patterns else {}
    return BuiltRecipe(
        name=recipe["name"],
        version=recipe["version"],
        summary=recipe["summary"],
        licence=recipe["license"],
        file=Path(recipe["file"]),
        image=image,
        packages=tuple(
            _package(package, owners[package["name"]])
            for package in recipe["packages"]
            if package["allow_empty"] or any(owners[package["name"]].iterdir())
        ),
        variables=recipe["variables"],
    )


def _package(package: Mapping[str, Any], files: Path) -> BuiltPackage:
    return BuiltPackage(
        name=package["name"],
        summary=package["summary"],
        files=files,
        depends=tuple(package["depends"]),
        recommends=tuple(package["recommends"]),
        provides=tuple(package["provides"]),
        groups=tuple(package["groups"]),
        users=tuple(package["users"]),
        memberships=tuple(package["memberships"]),
        services=tuple(package["services"]),
        enabled=package["enabled"],
    )
