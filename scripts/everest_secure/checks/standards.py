"""The catalogue itself: DOC-01."""

from everest_secure.checks.core import Location, Notes, Scope, check
from everest_secure.policy.catalogue import Catalogue, catalogue_file
from everest_secure.policy.parameters import Parameters

STANDARDS = (
    "ISO/IEC 27001:2022 Annex A", "IEC 62443-4-2", "ISO 15118", "OCPP security whitepaper", "OpenSSF", "EN 18031-1", "CRA Annex I",
)  # fmt: skip
"""What requirements are mapped to where they help, as the report names them."""


@check("DOC-01", on=Scope.CATALOGUE)
def every_requirement_names_the_clauses_that_it_helps_to_meet(catalogue: Catalogue, policy: Parameters, note: Notes) -> None:
    """No requirement is without a clause, no standard without a requirement."""
    for requirement in catalogue.requirements:
        if not any(requirement.standards.values()):
            what = f"{requirement.id} names no clause of any standard"
            note.finding(what, at=Location(catalogue_file().name), remedy="Add the clauses to 'standards' of the requirement.")
    for standard in STANDARDS:
        mapped = sum(bool(requirement.standards.get(standard)) for requirement in catalogue.requirements)
        if mapped:
            note.saw(f"{standard}: {mapped} requirements")
        else:
            what = f"no requirement is mapped to {standard}"
            note.finding(what, at=Location(catalogue_file().name), remedy="Add its clauses where a requirement helps to meet them.")
