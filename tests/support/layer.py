"""This layer's recipes for tests: built by BitBake's engine, never by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from everest_secure.paths import data
from everest_secure.pki.marking import DEVELOPMENT
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.parameters import Parameters
from everest_secure.policy.profile import load_profile
from everest_secure.reference.recipes.harness import BuiltPackage, BuiltRecipe, build_recipes
from support.authority import issue

LAYER = data("meta-everest-secure")
UNITS = "usr/lib/systemd/system"
KEYRING = issue("Update Root CA", authority=True, unit=DEVELOPMENT).pem
"""A keyring as `pki init` makes it for development."""


@dataclass(frozen=True)
class Bench:
    """A place to build recipes in, with the settings of one build; what is built as it comes is built once."""

    work: Path
    settings: Mapping[str, str]
    shelf: dict[str, BuiltPackage] = field(default_factory=dict)

    def build(
        self,
        name: str,
        settings: Mapping[str, str] | None = None,
        *,
        variables: tuple[str, ...] = (),
        extra_layers: tuple[Path, ...] = (),
    ) -> BuiltRecipe:
        """Build one recipe, with settings on top of the bench's."""
        merged = {**self.settings, **(settings or {})}
        work = self.work / ("variant" if settings or extra_layers else "plain")
        (recipe,) = build_recipes([name], layer=LAYER, work=work, settings=merged, variables=variables, extra_layers=extra_layers)
        return recipe

    def package(self, name: str, **settings: str) -> BuiltPackage:
        """Build a recipe that makes one package, besides that of its manual pages, and return it."""
        if not settings and name in self.shelf:
            return self.shelf[name]
        (package,) = (each for each in self.build(name, settings).packages if not each.name.endswith("-doc"))
        if not settings:
            self.shelf[name] = package
        return package


def bench(work: Path) -> Bench:
    """Return a bench with the keyring of a development PKI, a file of its own."""
    keyring = work / "product-keyring.pem"
    keyring.write_text(KEYRING)
    return Bench(work / "build", {"EVEREST_RAUC_KEYRING_DEVELOPMENT": str(keyring)})


def production() -> Parameters:
    """Return what the production profile compares an image with."""
    return load_profile("production", catalogue=load_catalogue()).parameters


def contents(package: BuiltPackage) -> dict[str, int]:
    """Return the target paths of a package's files with their modes; links have mode 0o777."""
    return {
        f"/{path.relative_to(package.files)}": path.lstat().st_mode & 0o7777
        for path in sorted(package.files.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }
