"""One build from kas files to a checked image: preflight, kas, collection, verification."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from everest_secure.build.collect import Collection, collect, find
from everest_secure.build.kas import Kas
from everest_secure.build.keys import variables
from everest_secure.build.preflight import preflight
from everest_secure.checks.session import check_artefacts
from everest_secure.pki.store import Store
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import load_profile
from everest_secure.report.model import Report
from everest_secure.report.output import write_reports

Step = Callable[[str], AbstractContextManager[None]]
"""Says that a step begins and, when its context ends, that it is done."""

REPORTS = {"html": "report.html", "json": "report.json"}


@dataclass(frozen=True, slots=True)
class Built:
    """What a build left, and what was found about it."""

    collection: Collection
    report: Report
    page: Path
    """The HTML report."""


def build(
    files: Sequence[Path], *, directory: Path, profile: str | None = None, keys: Path | None = None, space: int | None = None, step: Step
) -> Built:
    """Build with kas in `directory`, collect the artefacts in `directory/images` and check them together against a profile.

    `keys` is a development PKI whose files the recipes use; `space` the free bytes to ask for. Raises UserError.
    """
    if profile:
        load_profile(profile, catalogue=load_catalogue())
    environment: Mapping[str, str] = variables(Store(keys)) if keys else {}
    kas = Kas(tuple(file.absolute() for file in files), directory, environment)
    with step("preflight"):
        configuration = preflight(kas, uid=os.geteuid(), environment={**os.environ, **environment}, space=space)
    kas.build()
    with step("collection of the artefacts"):
        found = find(Path(kas.variable("DEPLOY_DIR_IMAGE")), targets=configuration.targets)
        collection = collect(found, into=directory.resolve() / "images")
    with step("verification"):
        report = check_artefacts(collection.artefacts, profile=profile)
    places = {kind: directory.resolve() / "images" / name for kind, name in REPORTS.items()}
    write_reports(report, places)
    return Built(collection, report, places["html"])
