"""One build from kas files to a checked image: preflight, kas, collection, verification."""

import os
from collections.abc import Callable, Sequence
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
    kas = Kas(tuple(file.absolute() for file in files), directory, variables(Store(keys)) if keys else {})
    with step("preflight"):
        configuration = preflight(kas, uid=os.geteuid(), environment={**os.environ, **kas.environment}, space=space)
    kas.build()
    with step("deploy directory"):
        deploy = Path(kas.variable("DEPLOY_DIR_IMAGE"))
    return finish(deploy, targets=configuration.targets, directory=directory, profile=profile, step=step)


def finish(deploy: Path, *, targets: Sequence[str], directory: Path, profile: str | None, step: Step) -> Built:
    """Collect what the targets left in BitBake's DEPLOY_DIR_IMAGE into `directory/images`, check it there, and write the reports beside it.

    Raises UserError; reports of an earlier build are gone then.
    """
    images = directory.resolve() / "images"
    with step("collection of the artefacts"):
        collection = collect(find(deploy, targets=targets), into=images)
    with step("verification"):
        report = check_artefacts(collection.artefacts, profile=profile)
        write_reports(report, {kind: images / name for kind, name in REPORTS.items()})
    return Built(collection, report, images / REPORTS["html"])
