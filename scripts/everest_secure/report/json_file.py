"""JSON files that this program or a test run wrote, read back: held to their schema, and never trusted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everest_secure.errors import UserError
from everest_secure.text import printable

MAX_BYTES = 256 * 1024 * 1024
"""Size beyond which a file is none of them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file."""

    what: str
    """`report of this version of everest-secure`."""
    schema: str
    """File of conf/policy/schema."""
    remedy: str
    """How to make one."""

    def refusal(self, path: Path, why: str) -> UserError:
        """Return the error that a file is none of this kind."""
        return UserError(printable(f"{path} is no {self.what} ({why}); {self.remedy}"))


REPORT = Kind("report of this version of everest-secure", "report.schema.json", "make it with 'everest-secure check --json FILE'")
PROOFS = Kind("file of proofs", "proofs.schema.json", "make it with 'make boot', or name the testresults.json of OE-Core's testimage")


def read_json(path: Path, kind: Kind) -> Mapping[str, Any]:
    """Return the content of a file of a kind. Raises UserError when it cannot be read, or does not hold to the kind's schema."""
    return validated(load_json(path, kind), path, kind)


def load_json(path: Path, kind: Kind) -> object:
    """Return the JSON in a file that ought to be of a kind. Raises UserError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise kind.refusal(path, f"it is larger than {MAX_BYTES} bytes")
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise UserError(f"{path} is no JSON that can be read; {kind.remedy}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None


def validated(value: object, path: Path, kind: Kind) -> Mapping[str, Any]:
    """Return the content of a file that holds to its kind's schema. Raises UserError."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry, Resource

    from everest_secure.policy.schema import load_schema

    registry: Registry[Any] = Registry().with_resources([(REPORT.schema, Resource.from_contents(load_schema(REPORT.schema)))])
    wrong = best_match(Draft202012Validator(load_schema(kind.schema), registry=registry).iter_errors(value))
    if wrong is not None or not isinstance(value, dict):
        raise kind.refusal(path, f"{wrong.json_path}: {wrong.message[:200]}" if wrong else "it is no mapping")
    return value
