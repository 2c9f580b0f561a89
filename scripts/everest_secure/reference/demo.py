"""The demonstration: from new keys to a verified, signed image, in one go."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from everest_secure.checks.session import check_artefacts
from everest_secure.pki import profile as pki_profile
from everest_secure.pki.store import Store, create
from everest_secure.reference.build import ReferenceImage, Step, Workspace, build
from everest_secure.report.model import Report
from everest_secure.report.output import write_reports
from everest_secure.run import HostTools

PROFILE = "reference"
REPORTS = {"html": "report.html", "json": "report.json"}


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What a demonstration leaves, and what was found about it."""

    image: ReferenceImage
    keys: Store
    report: Report
    page: Path
    """The HTML report."""


def demonstrate(directory: Path, *, cache: Path | None = None, layer: Path | None = None, step: Step) -> Demonstration:
    """Make keys, image, bundle and report below `directory`, which keeps the keys for the next time, and in `cache` what was downloaded.

    The results in `directory/demo` are replaced as a whole at the end: what is there is always one complete demonstration. Raises UserError.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(cache=(cache or directory / "cache").resolve(), work=directory / "work")
    fresh = directory / "demo.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    keys = _keys(directory / "keys" / "development", step)
    made = build(keys=keys, output=fresh, workspace=workspace, layer=layer, step=step)
    with step("verification of image and bundle"):
        report = check_artefacts([made.disk, made.bundle], profile=PROFILE)
        write_reports(report, {kind: fresh / name for kind, name in REPORTS.items()})
    final = directory / "demo"
    _replace(final, fresh)
    shutil.rmtree(workspace.work, ignore_errors=True)
    image = ReferenceImage(final / made.disk.name, final / made.bundle.name, final / made.manifest.name)
    return Demonstration(image, keys, report, final / REPORTS["html"])


def _keys(place: Path, step: Step) -> Store:
    """Return the development PKI at `place`, made first when it is not there."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with step("development keys"):
            create(place, profile=pki_profile.load("development"), tools=HostTools(), now=datetime.now(UTC))
    return Store(place)


def _replace(final: Path, fresh: Path) -> None:
    """Put the directory `fresh` in the place of `final`."""
    old = final.with_name(f"{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    fresh.rename(final)
    shutil.rmtree(old, ignore_errors=True)
