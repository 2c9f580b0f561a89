"""YAML files that people write, held to a JSON Schema; an error names file, line and key: `FILE:LINE: KEY: what is wrong; what to do`.

Read as YAML's safe subset: no aliases (a few lines of them expand to gigabytes), no repeated keys, no tags, keys that are text, bounded
size and depth, and dates left as text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from everest_secure.errors import UserError
from everest_secure.text import printable

MAX_BYTES = 1024 * 1024
"""Size beyond which a file is not taken for a configuration."""
MAX_DEPTH = 20
"""Levels of nesting."""

Key = str | int
"""Key of a mapping, or position in a list from 0."""
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, ten times as fast, where PyYAML was built with it."""

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
    kind: type[UserError]
    """Class of the errors in it."""

    def where(self, path: Sequence[Key] = ()) -> str:
        """Return `FILE:LINE` of what lies at `path`, or of the nearest thing around it."""
        found = tuple(path)
        while found and found not in self.lines:
            found = found[:-1]
        return f"{self.name}:{self.lines.get(found, 1)}"

    def error(self, path: Sequence[Key], message: str) -> UserError:
        """Return the error that `message` is wrong with the key at `path`: `my.yml:12: waivers[0].id: ...`."""
        return self.kind(printable(f"{self.where(path)}: {dotted(path)}{message}"))


def dotted(path: Sequence[Key]) -> str:
    """Return `waivers[0].id: ` for a path; empty for the document itself."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
    return f"{text}: " if text else ""


def read(path: Path, *, error: type[UserError]) -> Document:
    """Read one file. Raises `error` naming file and line when it is missing, too large, or no plain YAML."""
    content = _content(path, error)
    lines: dict[tuple[Key, ...], int] = {}
    try:
        _refuse_bombs(content, path, error)
        node = yaml.compose(content, Loader=LOADER)
        value = None if node is None else _value(node, (), lines, _Refusal(path, error))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error(printable(f"{path}:{line}: this is no YAML that can be read: {problem.problem}; mend it and try again")) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        raise error(f"{path} holds bytes or numbers that YAML does not allow; write it as UTF-8 text") from None
    return Document(str(path), value, lines, error)


@dataclass(frozen=True, slots=True)
class _Refusal:
    path: Path
    kind: type[UserError]

    def __call__(self, node: yaml.Node, message: str) -> UserError:
        return self.kind(printable(f"{self.path}:{node.start_mark.line + 1}: {message}"))


def _content(path: Path, error: type[UserError]) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}; check its name and permissions") from None
    if len(content) > MAX_BYTES:
        raise error(f"{path} is larger than {MAX_BYTES} bytes and no configuration; name another file")
    return content


def _refuse_bombs(content: bytes, path: Path, error: type[UserError]) -> None:
    depth = 0
    for event in yaml.parse(content, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise error(f"{path}:{line}: more than {MAX_DEPTH} levels are nested here; flatten it")
        if isinstance(event, yaml.AliasEvent):
            raise error(f"{path}:{line}: YAML aliases are not read; write the value out")


def _value(node: yaml.Node, path: tuple[Key, ...], lines: dict[tuple[Key, ...], int], refusal: _Refusal) -> Value:
    lines.setdefault(path, node.start_mark.line + 1)
    if node.tag not in _TAGS:
        raise refusal(node, f"the YAML tag '{node.tag}' is not allowed here; write plain text, numbers, lists and mappings")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), lines, refusal) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if key_node.tag != "tag:yaml.org,2002:str":
                raise refusal(key_node, "this key is no text; put it in quotes")
            key: str = key_node.value
            if key in found:
                raise refusal(key_node, f"the key '{key}' is there twice; keep one")
            lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = _value(value_node, (*path, key), lines, refusal)
        return found
    value: Value = _CONSTRUCT[node.tag](node)
    return value
