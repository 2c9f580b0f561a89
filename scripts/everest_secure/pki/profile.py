"""PKI profiles: which authorities and certificates there are, as data (conf/pki/*.yml)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509

from everest_secure import dataschema, paths
from everest_secure.datafile import Document
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType

SCHEMA = "profile.schema.json"
DNS_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")


class Usage(StrEnum):
    """What a certificate is for; decides its extensions."""

    AUTHORITY = "authority"
    BUNDLE_SIGNING = "bundle-signing"
    SECURE_BOOT_AUTHORITY = "secure-boot-authority"
    SECURE_BOOT_SIGNING = "secure-boot-signing"
    TLS_SERVER = "tls-server"
    TLS_CLIENT = "tls-client"


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
    names: tuple[x509.GeneralName, ...] = ()
    """What a TLS peer may call it: DNS names and IP addresses."""
    domain_component: str | None = None
    """Role in the subject that ISO 15118-2 asks for (annex F): V2G, CPO, MO or OEM."""
    encrypted_key: bool = True
    """Whether its key is encrypted where the profile encrypts keys; a broker reads its own without anybody to type a passphrase."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole PKI."""

    summary: str
    organization: str
    development: bool
    """Whether every subject carries `marking.DEVELOPMENT`."""
    encrypted_keys: bool
    keyring: tuple[str, ...]
    """Names of the roots that a device trusts, for updates or whatever the profile is for; there may be none."""
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
        keyring=tuple(value.get("keyring", ())),
        certificates=tuple(_spec(name, entry, document) for name, entry in value["certificates"].items()),
    )
    _refuse_contradictions(profile, document)
    return profile


def _spec(name: str, entry: Mapping[str, Any], document: Document) -> CertificateSpec:
    try:
        names = general_names(entry.get("dns_names", ()), entry.get("ip_addresses", ()))
    except PkiError as error:
        raise document.error(("certificates", name), str(error)) from None
    return CertificateSpec(
        name=name,
        common_name=entry["common_name"],
        usage=Usage(entry["usage"]),
        key=KeyType(entry["key"]),
        validity_days=entry["validity_days"],
        issuer=entry.get("issuer"),
        path_length=entry.get("path_length"),
        names=names,
        domain_component=entry.get("domain_component"),
        encrypted_key=entry.get("encrypted_key", True),
    )


def general_names(dns_names: Iterable[str], addresses: Iterable[str]) -> tuple[x509.GeneralName, ...]:
    """Return names for a TLS certificate; raises PkiError for what is no DNS name or IP address."""
    found: list[x509.GeneralName] = []
    for name in dns_names:
        if not DNS_NAME.fullmatch(name) or len(name) > 253:
            raise PkiError(f"'{name}' is no DNS name; write one such as charger.example")
        found.append(x509.DNSName(name))
    for address in addresses:
        try:
            found.append(x509.IPAddress(ip_address(address)))
        except ValueError:
            raise PkiError(f"'{address}' is no IP address; write one such as 192.0.2.1") from None
    return tuple(found)


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
