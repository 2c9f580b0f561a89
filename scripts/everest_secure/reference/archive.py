"""Where Debian packages come from: the archive that the machine's own apt uses, so that a mirror or proxy of the house is respected.

The files and their two formats are described in sources.list(5).
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import UserError

RELEASE = "trixie"
"""Debian 13: the release nearest to scarthgap."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Keys that the archive's releases are signed with, from the package debian-archive-keyring."""
VARIABLE = "EVEREST_DEBIAN_ARCHIVE"
"""Environment variable that names another archive."""

ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>[a-z][a-z0-9+.-]*:\S+)\s+(?P<suite>\S+)")
FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+\S.*)*)$", re.MULTILINE)
NO = ("no", "false", "without", "off", "disable", "0")
"""What apt takes for no."""
MIRRORS = "mirror+file:"
"""Scheme of a list of mirrors in a local file (apt-transport-mirror(1)), as Debian's cloud images have it."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Addresses of a Debian archive."""

    main: str
    security: str | None
    """Address of the security updates; None when apt has none."""

    def sources(self, signed_by: Path = KEYRING) -> str:
        """Return what `apt` reads as a `.sources` file (deb822) for the release."""
        stanzas = [(self.main, f"{RELEASE} {RELEASE}-updates")]
        if self.security:
            stanzas.append((self.security, f"{RELEASE}-security"))
        return "\n".join(
            f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {signed_by}\n" for uri, suites in stanzas
        )


def find_archive(*, etc_apt: Path = Path("/etc/apt"), environ: Mapping[str, str] = os.environ) -> Archive:
    """Return the archive that apt is set up with, or the one that `EVEREST_DEBIAN_ARCHIVE` names.

    Raises UserError when apt knows none.
    """
    if environ.get(VARIABLE):
        return Archive(environ[VARIABLE], None)
    found = list(_entries(etc_apt))
    main = next((uri for uri, suite in found if "security" not in suite), None)
    if main is None:
        raise UserError(
            f"no Debian archive is set up in {etc_apt}; add one to {etc_apt}/sources.list or name one in the environment variable {VARIABLE}"
        )
    return Archive(main, next((uri for uri, suite in found if "security" in suite), None))


def _entries(etc_apt: Path) -> Iterator[tuple[str, str]]:
    """Yield (address, suite) of every binary source that apt would read, in its order."""
    parts = sorted((etc_apt / "sources.list.d").glob("*")) if (etc_apt / "sources.list.d").is_dir() else []
    for path in (etc_apt / "sources.list", *parts):
        if path.suffix == ".list" and path.is_file():
            yield from _one_line(path.read_text(errors="replace"))
        elif path.suffix == ".sources" and path.is_file():
            yield from _deb822(path.read_text(errors="replace"))


def _one_line(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if (match := ONE_LINE.match(line.strip())) and _is_debian(match["suite"]):
            options = dict(option.partition("=")[::2] for option in (match["options"] or "").split())
            if _is_debian_key(options.get("signed-by", "")):
                yield _address(match["uri"]), match["suite"]


def _deb822(text: str) -> Iterator[tuple[str, str]]:
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)):
        fields = {name.lower(): value.strip() for name, value in FIELD.findall(stanza)}
        wanted = "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in NO
        if wanted and _is_debian_key(fields.get("signed-by", "")):
            for suite in filter(_is_debian, fields.get("suites", "").split()):
                for uri in fields.get("uris", "").split():
                    yield _address(uri), suite


def _address(uri: str) -> str:
    """Return the first address in a local list of mirrors, which the tools root does not see, and any other address as it is."""
    if not uri.startswith(MIRRORS):
        return uri
    file = Path("/", uri.removeprefix(MIRRORS).lstrip("/"))
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), uri)


def _is_debian_key(signed_by: str) -> bool:
    """Whether a source may be Debian's own: signed by a key of the package debian-archive-keyring, or no key is named."""
    return not signed_by or Path(signed_by).name.startswith("debian-archive-")


def _is_debian(suite: str) -> bool:
    """Whether a suite belongs to Debian itself and not to some other repository."""
    releases = ("bookworm", "trixie", "forky", "sid", "stable", "oldstable", "testing", "unstable")
    return suite.split("-", maxsplit=1)[0].split("/", maxsplit=1)[0] in releases
