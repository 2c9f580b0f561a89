"""OCPP's configuration as an EVerest module reads it, OCPP 1.6 and 2.x alike: where the CSMS is, and switches by their name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree, printable
from everest_secure.parse.everest_config import Module
from everest_secure.parse.everest_yaml import Value

SHARE = "/usr/share/everest/modules"
"""Below it, in a directory of its own, relative paths of a module lie (OCPP.cpp, OCPP201.cpp)."""
MAX_BYTES = 1 << 20
_WORD = re.compile(r'"([^"\\]{1,128})"')


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it stands."""

    value: Value
    path: str
    line: int
    given: bool = True
    """Whether a file says so; otherwise it is libocpp's own default."""
    writable: bool = False
    """Whether the CSMS may change it."""

    @property
    def on(self) -> bool:
        """Whether it is a switch that is on; libocpp takes any other text for off (types.cpp, string_to_bool())."""
        return str(self.value).lower() == "true"

    @property
    def text(self) -> str:
        """Return it as text; empty when it has no value."""
        return "" if self.value is None else str(self.value)

    @property
    def shown(self) -> str:
        """Return it as text for a sentence, the beginning of a long one."""
        return self.text if len(self.text) <= 80 else f"{self.text[:77]}..."

    @property
    def number(self) -> int | None:
        """Return it as a whole number; None when it is none."""
        return int(self.text) if self.text.isascii() and self.text.isdigit() and len(self.text) < 19 else None

    @property
    def words(self) -> tuple[str, ...]:
        """Return a list of words, which OCPP 1.6 writes as one and 2.x with commas or colons; OpenSSL takes spaces and semicolons for these too."""
        items = self.value if isinstance(self.value, list) else [self.text]
        return tuple(word for item in items for word in re.split(r"[:,;\s]+", str(item)) if word)


@dataclass(frozen=True, slots=True)
class Ocpp:
    """The configuration that one module starts with."""

    module: Module
    version: str
    """`1.6` or `2`."""
    path: str
    """File or directory that it lies in."""
    switches: Mapping[str, Setting]
    """Settings of section `Internal` or component `InternalCtrlr` that are set, by name, and `DisableSecurityEventNotifications`."""
    urls: tuple[Setting, ...]
    """Where the CSMS is, of each connection that may be used."""
    profiles: tuple[Setting, ...]
    """Their security profiles: 1 has no TLS, 2 has TLS and a password, 3 has TLS and a certificate of the charger's own."""
    passwords: tuple[Setting, ...]
    """Passwords that the files hold."""
    names: Mapping[str, Setting]
    """Who the charger and its operator say they are, by the key's full name; one that is not set has no value."""
    chain_size: tuple[str, Setting]
    """Longest certificate chain in characters, after the key's full name."""
    store_length: tuple[str, Setting]
    """Certificates in the store, after the key's full name."""
    migrated: str = ""
    """File of OCPP 1.6 that is written over the components of 2.x, if one is."""

    def switch(self, name: str) -> Setting:
        """Return a setting by name, with libocpp's own default when no file sets it."""
        found = self.switches.get(name)
        return found if found and found.value is not None else self.unset(DEFAULTS.get(name))

    def unset(self, value: Value = None) -> Setting:
        """Return a value that no file sets."""
        return unset(self.path, value)


def unset(path: str, value: Value = None) -> Setting:
    """Return a value that the configuration at `path` does not set."""
    return Setting(value, path, 0, given=False)


DEFAULTS: Mapping[str, Value] = {
    "UseSslDefaultVerifyPaths": True,
    "VerifyCsmsCommonName": True,
    "VerifyCsmsAllowWildcards": False,
    "EnableTLSKeylog": False,
    "UseTPM": False,
    "UseTPMSeccLeafCertificate": False,
    "AllowSecurityLevelZeroConnections": False,
    "AllowCSMSRootCertInstallWithUnsecureConnection": True,
    "AllowMFRootCertInstallWithUnsecureConnection": True,
    "SupportedCiphers12": ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-GCM-SHA384"],
    "SupportedCiphers13": ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"],
    "DisableSecurityEventNotifications": False,
    "LogMessages": True,
    "LogMessagesFormat": ["log", "html", "session_logging", "security"],
    "LogRotation": False,
    "LogRotationDateSuffix": False,
    "LogRotationMaximumFileSize": 0,
    "LogRotationMaximumFileCount": 0,
}
"""What counts without a value (profile_schemas/*.json of OCPP 1.6; connectivity_manager.cpp, charge_point.cpp and security.cpp of 2.x)."""


def absolute(path: str, owner: str) -> str:
    """Return the absolute path of what a module names; relative ones lie below that of the module `owner`, OCPPmulti's too (generic_ocpp.cpp)."""
    return path if path.startswith("/") else f"{SHARE}/{owner}/{path}"


@lru_cache(maxsize=256)
def read_json(tree: Tree, path: str) -> tuple[Value, Mapping[str, int]]:
    """Return a JSON file's value, and each word in it with the line on which it first stands in quotes.

    Raises ArtefactError when the file is missing, larger than 1 MiB or no JSON.
    """
    where = f"{tree.name}: {printable(path)}"
    try:
        text = tree.read(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArtefactError(f"{where} is no UTF-8, so that OCPP does not start with it; save it in that encoding") from None
    return parse_json(text, where), _lines(text)


def _lines(text: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for word in _WORD.findall(line):
            found.setdefault(word, number)
    return found


def parse_json(text: str, where: str) -> Value:
    """Parse JSON as libocpp's library does, which knows no NaN; raises ArtefactError when it is none."""
    try:
        value: Value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ArtefactError(f"{where} is no JSON, so that OCPP does not start with it; mend the file") from None
    return value


def _refuse(name: str) -> Value:
    raise ValueError(name)


def mapping(value: Value, where: str) -> dict[str, Value]:
    """Return a JSON object; raises ArtefactError for anything else."""
    if not isinstance(value, dict):
        raise ArtefactError(f"{where} is no mapping, so that OCPP does not start with it; mend the file")
    return value
