"""PKI profiles: which authorities and certificates there are, as data (conf/pki/*.yml)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from everest_secure import dataschema, paths
from everest_secure.datafile import Document
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType

SCHEMA = "profile.schema.json"


class Usage(StrEnum):
    """What a certificate is for; decides its extensions."""

    AUTHORITY = "authority"
    BUNDLE_SIGNING = "bundle-signing"
    SECURE_BOOT_AUTHORITY = "secure-boot-authority"
    SECURE_BOOT_SIGNING = "secure-boot-signing"


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """One certificate that a profile asks for."""

    name: str
    """Name of its files: `root` makes `root.key.pem` and `root.cert.pem`."""
    common_name: str
    usage: Usage
    key: KeyType
    validity_days: int
    issuer: str | None = None
    """Name of the authority that signs it; None when self-signed."""
    path_length: int | None = None
    """For an authority, how many authorities may follow below it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole PKI."""

    summary: str
    organization: str
    development: bool
    """Whether every subject carries `marking.DEVELOPMENT`."""
    encrypted_keys: bool
    keyring: tuple[str, ...]
    """Names of the roots that a device trusts for updates."""
    certificates: tuple[CertificateSpec, ...]
    """Issuers before what they issue."""


def names() -> tuple[str, ...]:
    """Return the names of the profiles that come with the project."""
    return tuple(sorted(path.stem for path in _directory().glob("*.yml")))


def load(name: str) -> Profile:
    """Return a profile by name, or by path when `name` ends in `.yml`.

    Raises PkiError when it is unknown, does not hold to conf/pki/profile.schema.json, or contradicts itself.
    """
    if name.endswith((".yml", ".yaml")):
        return read(Path(name))
    if name not in names():
        raise PkiError(f"there is no PKI profile '{name}'; use {' or '.join(names())} or the path of a .yml file")
    return read(_directory() / f"{name}.yml")


def read(path: Path) -> Profile:
    """Return the profile in a file; raises PkiError as `load` does."""
    document, value = dataschema.load(path, schema=_directory() / SCHEMA, error=PkiError)
    profile = Profile(
        summary=value["summary"],
        organization=value["organization"],
        development=value["development"],
        encrypted_keys=value["encrypted_keys"],
        keyring=tuple(value["keyring"]),
        certificates=tuple(_spec(name, entry) for name, entry in value["certificates"].items()),
    )
    _refuse_contradictions(profile, document)
    return profile


def _spec(name: str, entry: Mapping[str, Any]) -> CertificateSpec:
    return CertificateSpec(
        name=name,
        common_name=entry["common_name"],
        usage=Usage(entry["usage"]),
        key=KeyType(entry["key"]),
        validity_days=entry["validity_days"],
        issuer=entry.get("issuer"),
        path_length=entry.get("path_length"),
    )


def _refuse_contradictions(profile: Profile, document: Document) -> None:
    known: dict[str, CertificateSpec] = {}
    for spec in profile.certificates:
        where = ("certificates", spec.name)
        if spec.issuer is not None:
            issuer = known.get(spec.issuer)
            if issuer is None or issuer.usage is not Usage.AUTHORITY:
                raise document.error(where, f"its issuer '{spec.issuer}' is no authority named before it; name one or move it up")
            if spec.validity_days > issuer.validity_days:
                raise document.error(where, f"it would be valid longer than its issuer '{spec.issuer}'; shorten validity_days")
            if spec.usage is Usage.AUTHORITY and (spec.path_length or 0) >= (issuer.path_length or 0):
                raise document.error(where, f"its path_length must be less than that of its issuer '{spec.issuer}'; lower it")
        elif spec.usage is Usage.BUNDLE_SIGNING:
            raise document.error(where, "a bundle signer needs an issuer; name the authority that signs it")
        known[spec.name] = spec
    for name in profile.keyring:
        anchor = known.get(name)
        if anchor is None or anchor.usage is not Usage.AUTHORITY or anchor.issuer is not None:
            raise document.error(["keyring"], f"'{name}' is no self-signed authority of this profile; a keyring holds roots only (RAUC-02)")


def _directory() -> Path:
    return paths.data("conf") / "pki"
