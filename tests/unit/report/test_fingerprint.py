import json

import pytest

from everest_secure.report.fingerprint import fingerprint, inside
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Finding, Location, Outcome
from support.reports import finding, part, report

OLD = Finding("key 1883 is open", Location("charger-1.0.raw:rootfs-a", "/etc/x", 3), "Close it.")


def of(what: str = OLD.what, artefact: str = OLD.at.artefact, path: str = OLD.at.path, line: int = 3, requirement: str = "NET-01") -> str:
    given = artefact.partition(":")[0]
    return fingerprint(requirement, Finding(what, Location(artefact, path, line), "Mend it."), given=[given])


def test_a_finding_keeps_its_fingerprint_in_the_next_build() -> None:
    assert of() == of(artefact="charger-1.1.raw:rootfs-a", line=40)
    assert of(f"the root hash is {'ab' * 32}") == of(f"the root hash is {'cd' * 32}")


@pytest.mark.parametrize(
    "other",
    [
        of("key 8883 is open"),
        of(artefact="charger-1.0.raw:rootfs-b"),
        of(path="/etc/y"),
        of(requirement="NET-02"),
        of(artefact="charger-1.0.raw"),
    ],
)
def test_another_finding_has_another_fingerprint(other: str) -> None:
    assert other != of()


@pytest.mark.parametrize(
    ("artefact", "place"),
    [("a.raw", ""), ("a.raw:efi", "efi"), ("a:b.raw:efi:x.efi", "efi:x.efi"), ("other.raw:efi", "other.raw:efi"), ("a.rawer", "a.rawer")],
)
def test_the_place_inside_does_not_hold_the_name_of_the_artefact(artefact: str, place: str) -> None:
    assert inside(artefact, ["a", "a.raw", "a:b.raw"]) == place


def test_json_and_sarif_say_the_same_fingerprint() -> None:
    said = report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding()])]))
    value = json.loads(renderers()["json"].render(said, Look()))
    log = json.loads(renderers()["sarif"].render(said, Look()))
    (there,) = [result for result in log["runs"][0]["results"] if result["kind"] == "fail"]
    (here,) = [shown for result in value["results"] for check in result["checks"] for shown in check["findings"]]
    assert there["partialFingerprints"] == {"everestSecure/v1": here["fingerprint"]}
