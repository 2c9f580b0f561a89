"""What kas files say, as kas itself merges them (`kas dump --format json`)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everest_secure.build.errors import BuildError

SPACE = "EVEREST_BUILD_SPACE"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository that kas checks out."""

    name: str
    url: str
    path: str
    """Where it is checked out, relative to the work directory unless absolute."""
    revision: str
    """Commit, tag or branch, the first of these that is given; a lock file's commit before all."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A merged kas configuration, as far as a build needs to know it beforehand."""

    targets: tuple[str, ...]
    repositories: tuple[Repository, ...]
    """Those with a URL; the project's own checkout has none."""
    required: frozenset[str]
    """Environment variables that pass through to BitBake and have no default."""
    space: int | None
    """Bytes that a first build takes, as EVEREST_BUILD_SPACE says in GB."""


def parse(dump: bytes) -> Configuration:
    """Parse the JSON of `kas dump`; the order of precedence is that of kas 5 (`Repo.factory`). Raises BuildError when it is none."""
    try:
        content = json.loads(dump)
    except ValueError:
        raise BuildError("kas gave no configuration that can be read; run 'kas dump' on the same files and look at what it says") from None
    targets = content.get("target", ["core-image-minimal"])
    defaults = content.get("defaults", {}).get("repos", {})
    environment = content.get("env", {})
    overrides = content.get("overrides", {}).get("repos", {})
    return Configuration(
        targets=(targets,) if isinstance(targets, str) else tuple(targets),
        repositories=tuple(
            _repository(name, entry, defaults=defaults, override=overrides.get(name) or {})
            for name, entry in content.get("repos", {}).items()
            if entry and entry.get("url")
        ),
        required=frozenset(name for name, default in environment.items() if default is None),
        space=_space(environment),
    )


def _space(environment: Mapping[str, str | None]) -> int | None:
    named = environment.get(SPACE)
    if named is None:
        return None
    if not re.fullmatch("[0-9]{1,6}", named):
        raise BuildError(f"the kas files give {SPACE} as '{named}', which is no number of GB; correct it")
    return int(named) * 10**9


def _repository(key: str, entry: Mapping[str, Any], *, defaults: Mapping[str, Any], override: Mapping[str, Any]) -> Repository:
    name = entry.get("name", key)
    settings = {**defaults, **entry, **override}
    revision = next((settings[kind] for kind in ("commit", "tag", "branch", "refspec") if settings.get(kind)), "")
    return Repository(name, settings["url"], entry.get("path", name), revision)
