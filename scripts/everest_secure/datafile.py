"""Reads a YAML file that a user may have written, and says which key on which line is wrong."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from everest_secure.errors import UserError

MAX_BYTES = 256 * 1024
"""A file larger than this is no configuration."""
MAX_DEPTH = 32
"""Levels of nesting; the YAML parser's time grows with their square."""
OPENING = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken)
CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def load(path: Path, *, schema: Path, error: type[UserError]) -> dict[str, Any]:
    """Return the mapping in a YAML file that holds to the JSON Schema in `schema`.

    Raises `error` with one sentence that names file, line and key when the file cannot be read, is no YAML, repeats a key, uses an alias
    (a few lines of them expand to gigabytes), nests without end, or does not hold to the schema.
    """
    root = _compose(_text(path, error), path, error)
    document = _construct(root, path, error)
    wrong = best_match(Draft202012Validator(json.loads(schema.read_text())).iter_errors(document))
    if wrong is not None:
        keys = list(wrong.absolute_path)
        where = ".".join(str(key) for key in keys)
        raise error(f"{path}:{_line(root, keys)}: {f'{where}: ' if where else ''}{wrong.message}; mend it and try again")
    found: dict[str, Any] = document
    return found


def _text(path: Path, error: type[UserError]) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}; check its name and permissions") from None
    if len(content) > MAX_BYTES:
        raise error(f"{path} has more than {MAX_BYTES} bytes and is no configuration; name another file")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise error(f"{path} is no UTF-8 text; write it as YAML") from None


def _compose(text: str, path: Path, error: type[UserError]) -> yaml.Node:
    try:
        _refuse_bombs(text, path, error)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        raise _at_mark(problem, path, error) from None
    except yaml.YAMLError:
        raise error(f"{path} is no YAML: it has characters that cannot be read; mend it and try again") from None
    if root is None:
        raise error(f"{path} is empty; write it as YAML")
    _refuse_repeated_keys(root, path, error)
    return root


def _refuse_bombs(text: str, path: Path, error: type[UserError]) -> None:
    depth = 0
    for token in yaml.scan(text):
        where = f"{path}:{token.start_mark.line + 1}"
        if isinstance(token, yaml.AliasToken):
            raise error(f"{where}: aliases are not read; write the value out")
        depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
        if depth > MAX_DEPTH:
            raise error(f"{where}: more than {MAX_DEPTH} levels are nested here; no configuration needs them")


def _construct(root: yaml.Node, path: Path, error: type[UserError]) -> Any:  # noqa: ANN401 - the schema decides what it may be
    try:
        return yaml.constructor.SafeConstructor().construct_document(root)
    except yaml.MarkedYAMLError as problem:
        raise _at_mark(problem, path, error) from None
    except ValueError:
        raise error(f"{path} has a value that cannot be read, such as a date that does not exist; mend it and try again") from None


def _at_mark(problem: yaml.MarkedYAMLError, path: Path, error: type[UserError]) -> UserError:
    line = problem.problem_mark.line + 1 if problem.problem_mark else 1
    return error(f"{path}:{line}: this is no YAML that can be read: {problem.problem}; mend it and try again")


def _refuse_repeated_keys(root: yaml.Node, path: Path, error: type[UserError]) -> None:
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise error(f"{path}:{key.start_mark.line + 1}: a key is no plain word; mend it and try again")
                if key.value in seen:
                    raise error(f"{path}:{key.start_mark.line + 1}: the key '{key.value}' is there twice; remove one")
                seen.add(key.value)
                todo.append(value)


def _line(root: yaml.Node, keys: Sequence[str | int]) -> int:
    node = root
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            node = next((value for name, value in node.value if name.value == str(key)), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
    return node.start_mark.line + 1
