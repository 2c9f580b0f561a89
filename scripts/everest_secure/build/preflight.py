"""What must be true before a build of hours starts; each that is not ends it with one sentence."""

import locale
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from everest_secure.build import upstream
from everest_secure.build.configuration import Configuration
from everest_secure.build.errors import BuildError
from everest_secure.build.kas import Kas, require_files
from everest_secure.build.keys import require_keys
from everest_secure.run import is_installed
from everest_secure.space import require_space

FIRST_BYTES = 90 * 10**9
"""Free bytes for a first build: what Yocto 5.0 asks for a core image (Reference Manual, "Minimum Free Disk Space")."""
AGAIN_BYTES = 10 * 10**9
"""Free bytes for a build over an earlier one, whose files are there already."""

LOCALE = "en_US.UTF-8"


def preflight(kas: Kas, *, uid: int, environment: Mapping[str, str], space: int | None = None) -> Configuration:
    """Return the merged configuration when a build with it can start, and raise UserError with the first thing in the way otherwise.

    `environment` is the one that kas will see; `space` the free bytes to ask for instead of the defaults.
    """
    refuse_root(uid)
    require_programs()
    require_locale()
    require_files(kas.files)
    configuration = kas.configuration()
    require_environment(configuration, environment)
    require_keys(configuration.required, environment, now=datetime.now(UTC))
    require_space(kas.directory, default_space(kas.build_directory, configuration) if space is None else space, "the build")
    require_upstream(configuration, directory=kas.directory, environment=environment)
    return configuration


def default_space(build_directory: Path, configuration: Configuration) -> int:
    """Return the free bytes that a build there needs."""
    first = FIRST_BYTES if configuration.space is None else configuration.space
    return min(first, AGAIN_BYTES) if build_directory.is_dir() else first


def refuse_root(uid: int) -> None:
    """Raise BuildError for the superuser: OE-Core stops every build of his."""
    if uid == 0:
        raise BuildError("BitBake refuses to build as root; run this as an ordinary user")


def require_programs() -> None:
    """Raise BuildError when kas or git is missing; OE-Core itself looks for everything else and names it."""
    if find_spec("kas") is None:
        raise BuildError("kas is not installed beside everest-secure; install everest-secure again with its dependencies")
    if not is_installed("git"):
        raise BuildError("the program 'git' is not installed; install it with your package manager and try again")


def require_locale() -> None:
    """Raise BuildError when the locale that BitBake works in is missing: it stops without (bitbake, lib/bb/utils.py, check_system_locale)."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, LOCALE)
    except locale.Error as error:
        raise BuildError(
            f"BitBake needs the locale {LOCALE}, which this machine lacks; make it with 'localedef -i en_US -f UTF-8 {LOCALE}' as root"
        ) from error
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def require_environment(configuration: Configuration, environment: Mapping[str, str]) -> None:
    """Raise BuildError when a variable that the kas files take from the environment is not set."""
    unset = sorted(name for name in configuration.required if not environment.get(name))
    if unset:
        raise BuildError(
            f"the kas files need {', '.join(unset)} in the environment; set what is missing, or name a development PKI with --keys (docs/kas.md)"
        )


def require_upstream(configuration: Configuration, *, directory: Path, environment: Mapping[str, str]) -> None:
    """Raise BuildError when a repository that is still to be fetched cannot be reached."""
    wanted = upstream.missing(configuration.repositories, directory=directory)
    away = upstream.unreachable(wanted, environment=environment)
    if away:
        raise BuildError(
            f"{len(away)} of {len(wanted)} repositories to be fetched cannot be reached ({upstream.hosts(away)}); "
            "check the network and its proxy, or name a mirror with KAS_PREMIRRORS"
        )
