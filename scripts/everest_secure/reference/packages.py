"""This layer's packages for the reference image: recipes built, packed as Debian packages, ready for mkosi."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from everest_secure.reference.deb import Deb, build_deb, from_recipe
from everest_secure.reference.recipes.harness import STANDINS, BuiltRecipe, Offer, build_recipes, read_recipe, survey
from everest_secure.run import Tools

BASE = Deb(
    "everest-reference-base",
    "1",
    "Takes the place of initramfs-tools: the initrd of the reference image is mkosi's, inside the signed UKI",
    provides=("linux-initramfs-tool",),
)
IMAGE = "everest-secure-image-development"
INITRAMFS = "everest-secure-initramfs"
VARIABLES = ("IMAGE_INSTALL", "PACKAGE_INSTALL")
"""What names an image's packages; an initramfs has the second alone."""


@dataclass(frozen=True, slots=True)
class LocalPackages:
    """Debian packages made from recipes."""

    directory: Path
    """Holds the .deb files."""
    names: tuple[str, ...]
    """Those that the image installs."""
    recipes: tuple[BuiltRecipe, ...]


def make_packages(image: str, *, layer: Path, work: Path, settings: Mapping[str, str], tools: Tools) -> LocalPackages:
    """Build every recipe whose packages an image installs from this layer or from the stand-ins, and pack the results.

    What other layers bring is in the base tree. Raises RecipeError or ToolError.
    """
    recipes_work = work / "recipes"
    shutil.rmtree(work, ignore_errors=True)
    variables = read_recipe(image, VARIABLES, layer=layer, work=recipes_work, settings=settings)
    wanted = {name for names in variables.values() for name in names.split()}
    offers = {offer.name: offer for offer in survey(_installable(layer), layer=layer, work=recipes_work, settings=settings)}
    reached = _closure(wanted & offers.keys(), offers)
    needed = sorted({offers[name].recipe for name in reached})
    built = build_recipes(needed, layer=layer, work=recipes_work, settings=settings)
    packages = {package.name: (package, recipe) for recipe in built for package in recipe.packages}
    chosen = [name for name in reached if name in packages]
    debs = work / "debs"
    staging = work / "staging"
    staging.mkdir(parents=True)
    siblings = frozenset(chosen)
    for name in chosen:
        package, recipe = packages[name]
        deb = from_recipe(package, version=debian_version(recipe.version), siblings=siblings)
        build_deb(deb, package.files, into=debs, work=staging, tools=tools)
    return LocalPackages(debs, tuple(chosen), tuple(built))


def base_packages(cache: Path, *, tools: Tools) -> Path:
    """Return a directory with the base package alone, made once: mkosi throws its cache away when it changes."""
    directory = cache / "base-packages"
    if not directory.is_dir():
        making = cache / "base-packages.new"
        shutil.rmtree(making, ignore_errors=True)
        build_deb(BASE, None, into=making / "debs", work=making, tools=tools)
        (making / "debs").rename(directory)
        shutil.rmtree(making)
    return directory


def _installable(layer: Path) -> Sequence[str]:
    """Return the names of all recipes of the layer and of the stand-ins that make packages."""
    files = [path for root in (layer, STANDINS) for path in root.rglob("*.bb")]
    kinds = {"images", "bundles"}
    return sorted({path.stem.split("_")[0] for path in files if not kinds & set(path.parts)})


def _closure(names: set[str], offers: Mapping[str, Offer]) -> list[str]:
    """Return `names` and everything that they need among `offers`, sorted."""
    todo, found = list(names), set(names)
    while todo:
        for name in (offers[todo.pop()].needs & offers.keys()) - found:
            found.add(name)
            todo.append(name)
    return sorted(found)


def debian_version(version: str) -> str:
    """Return a recipe's version as dpkg accepts it: it must start with a digit (deb-version(7)), and `git` does not."""
    return version if version[:1].isdigit() else f"0+{version}"
