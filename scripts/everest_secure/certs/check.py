"""The checks of a certificate store, run on stores wherever they lie: CERT-01 to CERT-04, and the keys of TPM-04.

They are the checks of `everest-secure check`; only the layout of a store by itself has one of its own, as there is no system around it that mounts it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from everest_secure import checks
from everest_secure.certs.layout import with_stores_alone
from everest_secure.certs.offer import given
from everest_secure.certs.subjects import find_stores
from everest_secure.checks.core import Check, Scope, registered
from everest_secure.checks.tpm import ocpp_makes_its_keys_in_the_tpm
from everest_secure.checks.verify import verify
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import DEFAULT_PROFILE, Policy, load_policy, load_profile
from everest_secure.report.model import Report

REQUIREMENTS = ("CERT-01", "CERT-02", "CERT-03", "CERT-04", "TPM-04")


def check_stores(
    paths: Sequence[Path], *, profile: str | None = None, policy_file: Path | None = None, configuration: Path | None = None
) -> Report:
    """Open artefacts and check the certificate stores in them against a profile, or against a policy file that extends one.

    `configuration` is EVerest's, which says how a store by itself is laid out. Raises PolicyError for a wrong policy, StageError for a configuration that
    cannot be read, and ArtefactError for an artefact that cannot be opened or holds no store.
    """
    policy = policy_of(profile, policy_file)
    artefacts = [open_artefact(path) for path in paths]
    report = verify_stores(artefacts, policy=policy, configuration=given(configuration).content if configuration else None)
    return report.with_digests({path.name: _digest(path) for path in paths if path.is_file()})


def policy_of(profile: str | None, file: Path | None) -> Policy:
    """Return the policy file, the profile, or the default one. Raises PolicyError."""
    catalogue = load_catalogue()
    return load_policy(file, catalogue=catalogue) if file else load_profile(profile or DEFAULT_PROFILE, catalogue=catalogue)


def verify_stores(
    artefacts: Sequence[Artefact], *, policy: Policy, configuration: bytes | None = None, more: Sequence[Check] = ()
) -> Report:
    """Check the stores in opened artefacts, laid out as EVerest's configuration says where one is given.

    `more` are checks besides, whose findings no waiver covers. Raises ArtefactError when an artefact holds no store.
    """
    wanted = dict.fromkeys((*REQUIREMENTS, *(check.requirement for check in more)))
    return verify(
        artefacts,
        policy=replace(policy, waivers=tuple(waiver for waiver in policy.waivers if waiver.requirement in REQUIREMENTS), evidence=()),
        catalogue=load_catalogue().only(*wanted),
        checks=(*_checks(), *more),
        time=datetime.now(UTC),
        find=partial(find_stores, configuration=configuration),
        partial=True,
    )


def _checks() -> tuple[Check, ...]:
    checks.load()
    of_stores = [check for check in registered() if check.requirement in REQUIREMENTS and check.scope is Scope.ROOT]
    return tuple(with_stores_alone(check) for check in of_stores if check.function is not ocpp_makes_its_keys_in_the_tpm)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None
