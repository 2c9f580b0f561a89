"""One run of the checks, from paths to a report: opens the artefacts, loads the policy and takes the time."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from everest_secure import checks
from everest_secure.checks.core import registered
from everest_secure.checks.declared import declared_checks
from everest_secure.checks.subjects import BUNDLE, is_checkable
from everest_secure.checks.verify import verify
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, find_artefact, open_artefact
from everest_secure.image.deploy import files_of, is_deploy_folder
from everest_secure.image.enveloped import load_decryption_key
from everest_secure.image.raucb import with_key
from everest_secure.policy.catalogue import Catalogue, load_catalogue
from everest_secure.policy.profile import DEFAULT_PROFILE, Policy, load_policy, load_profile
from everest_secure.report.model import Report


def check_artefacts(
    paths: Sequence[Path], *, profile: str | None = None, policy_file: Path | None = None, decryption_key: Path | None = None
) -> Report:
    """Open all artefacts and verify them together against a profile, or against a policy file that extends one.

    A directory that is no root file system is a deploy folder: everything in it that can be checked is. `decryption_key` opens encrypted bundles.
    Raises PolicyError for a wrong policy, UserError for a key that cannot be used, and ArtefactError for an artefact that cannot be opened or holds
    nothing to check.
    """
    catalogue = load_catalogue()
    policy = _policy(profile, policy_file, catalogue)
    catalogue = catalogue.extended([entry.requirement for entry in policy.declared])
    checks.load()
    key = load_decryption_key(decryption_key) if decryption_key else None
    every = (*registered(), *declared_checks(policy.declared))
    opened = [entry for path in paths for entry in _opened(path)]
    artefacts = [with_key(artefact, key) if key else artefact for _, artefact in opened]
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Hashing leaves the interpreter to the checks, so that a digest of gigabytes costs little time of its own.
        hashed = pool.submit(_digests, [path for path, _ in opened if path.is_file()])
        report = verify(artefacts, policy=policy, catalogue=catalogue, checks=every, time=datetime.now(UTC))
        return report.with_digests(hashed.result())


def _opened(path: Path) -> list[tuple[Path, Artefact]]:
    """Open what a path means: itself, or everything in a deploy folder that can be checked."""
    if not is_deploy_folder(path):
        return [(path, open_artefact(path))]
    found = [(file, artefact) for file in files_of(path) if (artefact := find_artefact(file)) and is_checkable(artefact)]
    if not found:
        raise ArtefactError(
            f"{path} is neither a root file system, with /usr and /etc, nor a deploy folder with an image in it; name the images themselves"
        )
    # A root file system is called after the first artefact that holds it: rather a disk than a bundle.
    return sorted(found, key=lambda entry: entry[1].kind == BUNDLE)


def _policy(profile: str | None, file: Path | None, catalogue: Catalogue) -> Policy:
    if file:
        return load_policy(file, catalogue=catalogue)
    return load_profile(profile or DEFAULT_PROFILE, catalogue=catalogue)


def _digests(files: Sequence[Path]) -> Mapping[str, str]:
    found = {}
    for path in files:
        try:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ArtefactError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None
    return found
