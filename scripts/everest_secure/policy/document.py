"""YAML files that people write, read with the line of every key, so that an error can point at it.

Read as YAML's safe subset without aliases (no expansion attacks), without duplicate keys, and with dates left as text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from everest_secure.errors import PolicyError
from everest_secure.text import printable

MAX_BYTES = 1024 * 1024
"""Size beyond which a file is not taken for a policy."""
MAX_DEPTH = 20
"""Levels of nesting."""

Key = str | int
"""Key of a mapping, or position in a list from 0."""
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_SCALARS = yaml.constructor.SafeConstructor()
_CONSTRUCT: Mapping[str, Callable[[Any], Any]] = {
    "tag:yaml.org,2002:null": _SCALARS.construct_yaml_null,
    "tag:yaml.org,2002:bool": _SCALARS.construct_yaml_bool,
    "tag:yaml.org,2002:int": _SCALARS.construct_yaml_int,
    "tag:yaml.org,2002:float": _SCALARS.construct_yaml_float,
    "tag:yaml.org,2002:str": lambda node: node.value,
    "tag:yaml.org,2002:timestamp": lambda node: node.value,
}
_TAGS = frozenset({*_CONSTRUCT, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


@dataclass(frozen=True, slots=True)
class Document:
    """One file: plain values, and the line from 1 of everything in it."""

    name: str
    value: Value
    lines: Mapping[tuple[Key, ...], int]

    def where(self, path: Sequence[Key] = ()) -> str:
        """Return `FILE:LINE` of what lies at `path`, or of the nearest thing around it."""
        found = tuple(path)
        while found and found not in self.lines:
            found = found[:-1]
        return f"{self.name}:{self.lines.get(found, 1)}"

    def error(self, path: Sequence[Key], message: str) -> PolicyError:
        """Return the error that `message` is wrong with the key at `path`: `my.yml:12: waivers[0].id: ...`."""
        return PolicyError(printable(f"{self.where(path)}: {dotted(path)}{message}"))


def dotted(path: Sequence[Key]) -> str:
    """Return `waivers[0].id: ` for a path; empty for the document itself."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
    return f"{text}: " if text else ""


def read_document(path: Path) -> Document:
    """Read one YAML file. Raises PolicyError naming file and line when it is missing, too large, or no plain YAML."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None
    if len(content) > MAX_BYTES:
        raise PolicyError(f"{path} is larger than {MAX_BYTES} bytes; name a policy file")
    lines: dict[tuple[Key, ...], int] = {}
    try:
        _refuse_aliases(content, str(path))
        node = yaml.compose(content, Loader=yaml.CSafeLoader)
        value = None if node is None else _value(node, (), lines, partial(_error, str(path)))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PolicyError(printable(f"{path}:{line}: not valid YAML: {error.problem}")) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        raise PolicyError(f"{path}: not valid YAML: it holds bytes or numbers that YAML does not allow") from None
    return Document(str(path), value, lines)


def _error(file: str, node: yaml.Node, message: str) -> PolicyError:
    return PolicyError(printable(f"{file}:{node.start_mark.line + 1}: {message}"))


def _refuse_aliases(content: bytes, name: str) -> None:
    depth = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise PolicyError(f"{name}:{line}: nested more than {MAX_DEPTH} levels deep; flatten it")
        if isinstance(event, yaml.AliasEvent):
            raise PolicyError(f"{name}:{line}: YAML aliases are not allowed here; write the value out")


def _value(
    node: yaml.Node, path: tuple[Key, ...], lines: dict[tuple[Key, ...], int], error: Callable[[yaml.Node, str], PolicyError]
) -> Value:
    lines.setdefault(path, node.start_mark.line + 1)
    if node.tag not in _TAGS:
        raise error(node, f"the YAML tag '{node.tag}' is not allowed here; write plain text, numbers, lists and mappings")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), lines, error) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if key_node.tag != "tag:yaml.org,2002:str":
                raise error(key_node, "this key is no text; put it in quotes")
            key: str = key_node.value
            if key in found:
                raise error(key_node, f"the key '{key}' is there twice; keep one")
            lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = _value(value_node, (*path, key), lines, error)
        return found
    value: Value = _CONSTRUCT[node.tag](node)
    return value
