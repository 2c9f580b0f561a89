"""Keys and certificates that a build uses: their names in the environment (kas/opt/), and whether they can work.

The layer asks the same when BitBake starts (everest-secure-policy.bbclass). Asked here it costs no checkout.
"""

import os
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.build.errors import BuildError
from everest_secure.bundle.signing import Signer, preflight
from everest_secure.parse.chain import Chain, chain_faults
from everest_secure.pki import certificates, keys
from everest_secure.pki.marking import is_development
from everest_secure.pki.store import SECURE_BOOT, SIGNER, Store

RELEASE_KEYRING = "EVEREST_RAUC_KEYRING"
DEVELOPMENT_KEYRING = "EVEREST_RAUC_KEYRING_DEVELOPMENT"
BUNDLE = ("EVEREST_BUNDLE_KEY", "EVEREST_BUNDLE_CERT", "EVEREST_BUNDLE_INTERMEDIATE")
BOOT = ("EVEREST_SECURE_BOOT_KEY", "EVEREST_SECURE_BOOT_CERT")
VARIABLES = (RELEASE_KEYRING, DEVELOPMENT_KEYRING, *BUNDLE, *BOOT)
"""Variables whose values are absolute paths of PEM files; the bundle's key may be the URI of one in a token instead."""


def variables(store: Store) -> Mapping[str, str]:
    """Return the variables that name the files of a PKI directory.

    It stands for the release keyring as well: a production build then says that a development authority is no trust anchor of a product.
    """
    signer = (store.key(SIGNER), store.certificate(SIGNER), store.chain(SIGNER))
    files = {
        RELEASE_KEYRING: store.keyring,
        DEVELOPMENT_KEYRING: store.keyring,
        **dict(zip(BUNDLE, signer, strict=True)),
        **dict(zip(BOOT, (store.key(SECURE_BOOT), store.certificate(SECURE_BOOT)), strict=True)),
    }
    return {name: str(file.resolve()) for name, file in files.items()}


def require_keys(required: Collection[str], environment: Mapping[str, str], *, now: datetime) -> None:
    """Raise UserError with the first reason for which the files that `required` names cannot make the image or sign it at `now`."""
    files = {name: _readable(name, Path(environment[name])) for name in VARIABLES if name in required and not _in_token(name, environment)}
    if RELEASE_KEYRING in files:
        _require_release(files[RELEASE_KEYRING], now=now)
    if DEVELOPMENT_KEYRING in files and files.keys() >= set(BUNDLE):
        key, certificate, intermediate = (files[name] for name in BUNDLE)
        preflight(Signer(key, certificate, (intermediate,)), keyring=files[DEVELOPMENT_KEYRING], now=now)
    if files.keys() >= set(BOOT):
        _require_pair(*(files[name] for name in BOOT), now=now)


def _in_token(name: str, environment: Mapping[str, str]) -> bool:
    """Whether a variable names the bundle's key in a PKCS#11 token; BitBake asks about the rest when it starts."""
    return name == BUNDLE[0] and environment[name].startswith("pkcs11:")


def _readable(name: str, file: Path) -> Path:
    if not file.is_absolute():
        raise BuildError(f"{name} is '{file}', which is no absolute path; BitBake works in many directories, so give the whole path")
    if not file.is_file():
        raise BuildError(f"{name} names {file}, which is no file; correct it, or make a development PKI with 'everest-secure pki init'")
    if not os.access(file, os.R_OK):
        raise BuildError(f"{name} names {file}, which you may not read; build as the user who owns the keys")
    return file


def _require_release(keyring: Path, *, now: datetime) -> None:
    """Raise BuildError for a keyring with a development authority (RAUC-02) or one that has expired."""
    for anchor in certificates.load_all(keyring):
        if is_development(anchor):
            raise BuildError(
                f"{keyring} holds '{certificates.label(anchor)}', a development authority; give {RELEASE_KEYRING} the keyring of the release PKI (RAUC-02)"
            )
        _require_dates(anchor, keyring, now=now)


def _require_pair(key: Path, certificate: Path, *, now: datetime) -> None:
    found = certificates.load_one(certificate)
    _require_dates(found, certificate, now=now)
    if keys.load(key).public_key() != found.public_key():
        raise BuildError(f"the key {key} does not belong to the certificate {certificate}; give the two that do")


def _require_dates(certificate: x509.Certificate, file: Path, *, now: datetime) -> None:
    for fault in chain_faults(Chain((certificate,), anchored=True), at=now):
        raise BuildError(f"{file} cannot be used: {fault.what}; {fault.remedy}")
