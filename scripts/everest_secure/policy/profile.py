"""Profiles, and a user's own policy file on top of one: parameters, waivers, evidence and checks of its own.

Both are files of the same form (docs/policy.md, conf/policy/schema/policy.schema.json). A file extends a profile: its `parameters` change
single values as a JSON merge patch would (RFC 7396: mappings merge, anything else is replaced), its `add` appends to lists.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, get_args, get_origin, get_type_hints

from everest_secure import datafile
from everest_secure.datafile import Document, Key
from everest_secure.errors import PolicyError
from everest_secure.paths import data
from everest_secure.policy.catalogue import Catalogue
from everest_secure.policy.declared import Declared, parse_declared
from everest_secure.policy.parameters import Parameters
from everest_secure.policy.schema import parameters_schema, validate

DEFAULT_PROFILE = "production"
"""The strictest profile: what a product that leaves the factory must satisfy."""

Fields = dict[str, Any]
_EVERYTHING = re.compile(r"[/.@-]*[*?#+][*?#+/.@-]*(?:(?<=\.)(?:service|socket|timer|path))?")
"""Patterns of fnmatch(3), of units of one type and of MQTT's topics without a letter or number."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A recorded decision to live with findings of one requirement for some time."""

    requirement: str
    reason: str
    owner: str
    expires: date
    """Last day on which it holds."""
    match: str
    """Only findings whose text or place contains these words; empty for every finding."""
    where: str
    """`FILE:LINE` of its entry."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signed-off statement on what no file of an image can show."""

    requirement: str
    statement: str
    owner: str
    signed: date
    expires: date
    """Last day on which it holds."""
    where: str
    """`FILE:LINE` of its entry."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an artefact is held against."""

    profile: str
    """Name of the profile at the bottom: `production`, `development`, `reference`."""
    file: str
    """The user's own policy file; empty when a profile is used as it is."""
    parameters: Parameters
    waivers: tuple[Waiver, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    declared: tuple[Declared, ...] = ()
    """Requirements of the product's own."""


@dataclass(frozen=True, slots=True)
class _Layer:
    document: Document
    value: Fields


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles of conf/policy/profiles, sorted."""
    return tuple(sorted(file.stem for file in _profiles().glob("*.yml")))


def load_profile(name: str, *, catalogue: Catalogue) -> Policy:
    """Return a profile as it is. Raises PolicyError when there is none of that name."""
    return _policy(_layers(_profile_file(name)), file="", catalogue=catalogue)


def load_policy(file: Path, *, catalogue: Catalogue) -> Policy:
    """Return a user's policy file on top of the profile that it extends.

    Raises PolicyError with file, line and key for an unknown key or ID, a wrong type or date, and a parameter that nothing sets.
    """
    return _policy(_layers(file), file=str(file), catalogue=catalogue)


def parameters_of(value: Mapping[str, Any]) -> Parameters:
    """Return the parameters that a JSON report holds. Raises ValueError when one is missing or of the wrong type."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    wrong = best_match(Draft202012Validator(parameters_schema()).iter_errors(value))
    missing = _missing(Parameters, value) if wrong is None else []
    if wrong is not None or missing:
        raise ValueError(f"the parameter '{missing[0]}' is missing" if wrong is None else f"parameters: {wrong.message[:200]}")
    return cast(Parameters, _built(Parameters, value))


def _profiles() -> Path:
    return data("conf") / "policy/profiles"


def _profile_file(name: str) -> Path:
    if name not in profile_names():
        raise PolicyError(f"there is no profile '{name}'; known are {', '.join(profile_names())}")
    return _profiles() / f"{name}.yml"


def _layers(file: Path) -> list[_Layer]:
    """Read a file and all that it extends, the bottom first; the project's own profiles are held to the schema by the tests alone."""
    layers: list[_Layer] = []
    names: list[str] = []
    while True:
        document = datafile.read(file, error=PolicyError)
        if file.parent != _profiles():
            validate(document, "policy.schema.json")
        value = cast(Fields, document.value)
        layers.insert(0, _Layer(document, value))
        below = value.get("extends")
        if below is None:
            return layers
        if below not in profile_names():
            raise document.error(["extends"], f"there is no profile '{below}'; known are {', '.join(profile_names())}")
        if below in names:
            raise document.error(["extends"], f"'{below}' extends itself; name another profile")
        names.append(below)
        file = _profile_file(below)


def _policy(layers: list[_Layer], *, file: str, catalogue: Catalogue) -> Policy:
    declared = _declared(layers, catalogue)
    catalogue = catalogue.extended([each.requirement for each in declared])
    merged: Fields = {}
    waivers: list[Waiver] = []
    evidence: list[Evidence] = []
    for layer in layers:
        for key in ("parameters", "add"):
            _refuse_everything(layer.document, (key,), layer.value.get(key, {}))
        merged = _merged(merged, _located(layer, "parameters"))
        merged = _extended(merged, _located(layer, "add"), layer.document, ("add",))
        waivers += [_waiver(layer.document, index, entry, catalogue) for index, entry in enumerate(layer.value.get("waivers", []))]
        evidence += [_evidence(layer.document, index, entry, catalogue) for index, entry in enumerate(layer.value.get("evidence", []))]
    bottom = layers[-2] if file and len(layers) > 1 else layers[-1]
    missing = _missing(Parameters, merged)
    if missing:
        raise layers[0].document.error(["parameters"], f"the parameter '{missing[0]}' is set nowhere; add it, or extend a profile")
    return Policy(Path(bottom.document.name).stem, file, _built(Parameters, merged), tuple(waivers), tuple(evidence), declared)


def _refuse_everything(document: Document, path: tuple[Key, ...], value: Any) -> None:  # noqa: ANN401 - any YAML value
    """Raise PolicyError for a pattern of files, units, packages or topics that takes all there are, unless its entry gives a reason."""
    if isinstance(value, dict) and "reason" in value:
        return
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        if isinstance(each, str) and isinstance(value, list) and _EVERYTHING.fullmatch(each):
            raise document.error((*path, key), f"'{each}' stands for everything; name what is meant")
        _refuse_everything(document, (*path, key), each)


def _declared(layers: list[_Layer], catalogue: Catalogue) -> tuple[Declared, ...]:
    found: dict[str, Declared] = {}
    for layer in layers:
        for index, entry in enumerate(layer.value.get("checks", [])):
            each = parse_declared(layer.document, index, entry, catalogue.families)
            if each.requirement.id in found:
                path = ("checks", index, "id")
                raise layer.document.error(path, f"'{each.requirement.id}' is there twice; put all that it expects into one entry")
            found[each.requirement.id] = each
    return tuple(found.values())


def _located(layer: _Layer, key: str) -> Fields:
    """Return parameters of one file, with its paths made relative to the directory that the file is in."""
    paths = [name for name, hint in get_type_hints(Parameters).items() if hint == tuple[Path, ...]]
    given: Fields = layer.value.get(key, {})
    directory = Path(layer.document.name).parent
    return {name: [str(directory / path) for path in value] if name in paths else value for name, value in given.items()}


def _merged(below: Any, above: Any) -> Any:  # noqa: ANN401 - any YAML value
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    both = {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
    return {key: value for key, value in both.items() if value is not None}


def _extended(below: Any, above: Any, document: Document, path: tuple[Key, ...]) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(above, dict) and isinstance(below, dict):
        return {**below, **{key: _extended(below.get(key, []), more, document, (*path, key)) for key, more in above.items()}}
    if isinstance(above, list) and isinstance(below, list):
        return [*below, *above]
    raise document.error(path, "is no list and cannot be added to; set it under 'parameters'")


def _missing(kind: type, value: Mapping[str, Any]) -> list[str]:
    hints = get_type_hints(kind)
    absent = [name for name in hints if name not in value]
    inner = [
        f"{name}.{key}"
        for name, hint in hints.items()
        if is_dataclass(hint) and name in value
        for key in _missing(cast(type, hint), value[name])
    ]
    return absent + inner


def _built(kind: Any, value: Any) -> Any:  # noqa: ANN401 - a type annotation and a value of it
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{field.name: _built(hints[field.name], value[field.name]) for field in fields(kind)})
    if get_origin(kind) is tuple:
        return tuple(_built(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is Mapping:
        return MappingProxyType({key: _built(get_args(kind)[1], item) for key, item in value.items()})
    return Path(value) if kind is Path else value


def _waiver(document: Document, index: int, entry: Mapping[str, str], catalogue: Catalogue) -> Waiver:
    path: tuple[Key, ...] = ("waivers", index)
    return Waiver(
        requirement=_known(document, (*path, "id"), entry["id"], catalogue),
        reason=entry["reason"],
        owner=entry["owner"],
        expires=_date(document, (*path, "expires"), entry["expires"]),
        match=entry.get("match", ""),
        where=document.where(path),
    )


def _evidence(document: Document, index: int, entry: Mapping[str, str], catalogue: Catalogue) -> Evidence:
    path: tuple[Key, ...] = ("evidence", index)
    requirement = _known(document, (*path, "id"), entry["id"], catalogue)
    if not catalogue.get(requirement).evidence:
        raise document.error((*path, "id"), f"{requirement} is decided by the artefact and takes no evidence; remove the entry")
    signed = _date(document, (*path, "date"), entry["date"])
    expires = _date(document, (*path, "expires"), entry["expires"])
    if expires < signed:
        raise document.error((*path, "expires"), f"{expires} is before the date of the statement, {signed}; correct one of them")
    return Evidence(requirement, entry["statement"], entry["owner"], signed, expires, document.where(path))


def _known(document: Document, path: tuple[Key, ...], identifier: str, catalogue: Catalogue) -> str:
    if identifier not in catalogue.ids:
        raise document.error(path, catalogue.unknown(identifier))
    return identifier


def _date(document: Document, path: tuple[Key, ...], text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise document.error(path, f"'{text}' is not a date of the calendar; write it like 2027-03-31") from None
