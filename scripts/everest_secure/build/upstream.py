"""Whether the repositories of a build can be fetched, asked as kas will ask: with git, its settings and its mirrors."""

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from everest_secure.build.configuration import Repository
from everest_secure.errors import ToolError
from everest_secure.run import attempt

SECONDS = 30.0
"""How long a server may take to list its references."""
MANAGED = ("GITHUB_ACTIONS", "GITLAB_CI")
"""Set to `true` by environments in which kas takes the user's git settings."""


def missing(repositories: Sequence[Repository], *, directory: Path) -> tuple[Repository, ...]:
    """Return those whose revision is not in their checkout below `directory` yet, so that kas will fetch them."""
    return tuple(repository for repository in repositories if not _has(directory / repository.path, repository.revision))


def unreachable(repositories: Sequence[Repository], *, environment: Mapping[str, str]) -> tuple[Repository, ...]:
    """Return those that `git ls-remote` cannot list; all are asked at once. `environment` is the one that kas will see."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = pool.map(lambda repository: _answers(repository, environment), repositories)
        return tuple(repository for repository, answered in zip(repositories, answers, strict=True) if not answered)


def hosts(repositories: Sequence[Repository]) -> str:
    """Return the repositories' hosts, or their URLs where those have none, each once, as a list for a sentence."""
    return ", ".join(dict.fromkeys(urlsplit(repository.url).hostname or repository.url for repository in repositories))


def mirrored(url: str, premirrors: str) -> str:
    """Return the URL that kas uses instead: KAS_PREMIRRORS has a regular expression and its replacement in each line, the first match counts.

    Lines that are none are passed over, as kas does.
    """
    for line in premirrors.split("\n"):
        words = line.split()
        if len(words) == 2 and re.match(words[0], url):
            return re.sub(words[0], words[1], url)
    return url


def git_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return what makes git behave as below kas, which gives it a home of its own with the settings of GITCONFIG_FILE alone."""
    quiet = {"GIT_TERMINAL_PROMPT": "0"}
    if "GITCONFIG_FILE" not in environment and any(environment.get(name) == "true" for name in MANAGED):
        return quiet
    return {**quiet, "GIT_CONFIG_GLOBAL": environment.get("GITCONFIG_FILE") or os.devnull}


def _has(checkout: Path, revision: str) -> bool:
    if not checkout.is_dir():
        return False
    return attempt(["git", "-C", checkout, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}"]).code == 0


def _answers(repository: Repository, environment: Mapping[str, str]) -> bool:
    url = mirrored(repository.url, environment.get("KAS_PREMIRRORS", ""))
    try:
        return attempt(["git", "ls-remote", "--quiet", "--", url, "HEAD"], env=git_settings(environment), limit=SECONDS).code == 0
    except ToolError:
        return False
