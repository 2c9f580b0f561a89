"""YAML as EVerest's framework reads it (lib/everest/framework/lib/yaml_loader.cpp): plain values, and the line of each key.

EVerest knows fewer types than YAML 1.1: of words without quotes only `true`, `false`, numbers and nothing are no text, so that `yes` and `True`
are text and no switch.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from everest_secure.datafile import LOADER
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree, printable

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
"""Levels of nesting; EVerest's own files have eight."""
MAX_VALUES = 100_000
Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
Place = tuple[str | int, ...]
"""Keys and positions that lead to a value: `("active_modules", "slac", "module")`."""
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NULL = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class EverestYaml:
    """One file."""

    path: str
    value: Value
    lines: Mapping[Place, int]

    def line(self, *place: str | int) -> int:
        """Return the line of what lies at a place, or of the nearest thing around it; 0 for the file as a whole."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)


def parse_everest_yaml(text: str, path: str) -> EverestYaml:
    """Parse a file; raises ArtefactError for what is no YAML, larger than 1 MiB, nested too deeply, or holds an alias or a key twice.

    EVerest takes `*name` and `<<` for plain text, as it never resolves the tree that it parsed (load_yaml()).
    """
    if len(text) > MAX_BYTES:
        raise ArtefactError(f"{path} is larger than {MAX_BYTES} bytes; no charger needs such a configuration")
    lines: dict[Place, int] = {}
    try:
        _refuse_bombs(text, path)
        root = yaml.compose(text, Loader=LOADER)
        value = None if root is None else _value(root, (), lines, path)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise ArtefactError(f"{path}:{line} is not YAML that EVerest can read; mend the file") from None
    return EverestYaml(path, value, lines)


def read_everest_yaml(tree: Tree, path: str) -> EverestYaml:
    """Read a file of a root file system; raises ArtefactError when it is missing, and as `parse_everest_yaml`."""
    return parse_everest_yaml(tree.text(path), printable(path))


def _refuse_bombs(text: str, path: str) -> None:
    depth = count = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 0
        count += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ArtefactError(
                f"{path}:{line} has an alias, which EVerest does not follow and a hostile file may hide behind; write it out"
            )
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise ArtefactError(f"{path}:{line} is nested too deeply or holds too many values; it is taken for hostile and not read")


def entries(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield key, node of the key and node of the value of a mapping; raises ArtefactError for what is none and for a key that comes twice."""
    if not isinstance(node, yaml.MappingNode):
        raise ArtefactError(f"{path}:{node.start_mark.line + 1} is not a mapping; see EVerest's schema of the file")
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in seen:
            raise ArtefactError(
                f"{path}:{key.start_mark.line + 1} has a key that comes twice or is no word; EVerest and a reader may disagree on it"
            )
        seen.add(key.value)
        yield key.value, key, value


def _value(node: yaml.Node, place: Place, lines: dict[Place, int], path: str) -> Value:
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[(*place, position)] = item.start_mark.line + 1
        return [_value(item, (*place, position), lines, path) for position, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Value] = {}
        for name, key, value in entries(node, path):
            lines[(*place, name)] = key.start_mark.line + 1
            found[name] = _value(value, (*place, name), lines, path)
        return found
    if not isinstance(node, yaml.ScalarNode):
        raise ArtefactError(f"{path}:{node.start_mark.line + 1} is of a kind that EVerest does not read; mend the file")
    return str(node.value) if node.style else _plain(node.value)


def _plain(text: str) -> Value:
    """Return what a word without quotes stands for (ryml_to_nlohmann_json())."""
    if text in _NULL:
        return None
    if text in ("true", "false"):
        return text == "true"
    if len(text) < 64 and _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if len(text) < 64 and _NUMBER.fullmatch(text) else text
