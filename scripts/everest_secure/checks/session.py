"""One run of the checks, from paths to a report: opens the artefacts, loads the policy and takes the time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from everest_secure import checks
from everest_secure.checks.cache import ResultCache
from everest_secure.checks.contents import digests_of
from everest_secure.checks.core import registered
from everest_secure.checks.declared import declared_checks
from everest_secure.checks.hashing import digests_of_files, hashing
from everest_secure.checks.memory import Memory
from everest_secure.checks.progress import Progress, unseen
from everest_secure.checks.run import run_all
from everest_secure.checks.subjects import BUNDLE, find_subjects, is_checkable
from everest_secure.checks.verify import verify
from everest_secure.checks.workers import cores
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, find_artefact, open_artefact
from everest_secure.image.deploy import files_of, is_deploy_folder
from everest_secure.image.enveloped import load_decryption_key
from everest_secure.image.raucb import with_key
from everest_secure.plain import plain
from everest_secure.policy.catalogue import Catalogue, load_catalogue
from everest_secure.policy.profile import DEFAULT_PROFILE, Policy, load_policy, load_profile
from everest_secure.report.model import Report


def check_artefacts(
    paths: Sequence[Path],
    *,
    profile: str | None = None,
    policy_file: Path | None = None,
    secure_boot_certificates: Sequence[Path] = (),
    decryption_key: Path | None = None,
    jobs: int | None = None,
    cache: Path | None = None,
    progress: Progress = unseen,
) -> Report:
    """Open all artefacts and verify them together against a profile, or against a policy file that extends one.

    A directory that is no root file system is a deploy folder: everything in it that can be checked is. `secure_boot_certificates`, where
    any are given, take the place of those that the policy names. `decryption_key` opens encrypted bundles.
    `jobs` is the number of processes, as many as the machine can use when it is not given; `progress` is told how far the checks have come;
    `cache` is a directory in which results are kept and found again.
    Raises PolicyError for a wrong policy, UserError for a key or certificate that cannot be used, and ArtefactError for an artefact that cannot be opened or holds
    nothing to check.
    """
    given = [path for path in paths if _is_file(path)]
    with hashing(given if cache is None else [], processes=jobs) as digests:
        catalogue = load_catalogue()
        policy = _trusting(_policy(profile, policy_file, catalogue), secure_boot_certificates)
        catalogue = catalogue.extended([entry.requirement for entry in policy.declared])
        checks.load()
        key = load_decryption_key(decryption_key) if decryption_key else None
        every = (*registered(), *declared_checks(policy.declared))
        opened = [entry for path in paths for entry in _opened(path)]
        artefacts = [with_key(artefact, key) if key else artefact for _, artefact in opened]
        run = partial(run_all, processes=jobs or cores(), progress=progress)
        check = partial(verify, artefacts, policy=policy, catalogue=catalogue, checks=every, time=datetime.now(UTC))
        if cache is not None:
            return _remembering(cache, artefacts, check, run, {**_decided(policy), "opened": key is not None})
        with hashing([path for path, _ in opened if path not in given and _is_file(path)], processes=jobs) as others:
            report = check(run=run)
            return report.with_digests({**digests(), **others()})


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _decided(policy: Policy) -> Mapping[str, Any]:
    """Return all of a policy that results depend on, with what is in the files that it names."""
    certificates = [digests_of_files([file]) for file in policy.parameters.secure_boot_certificates]
    return {"parameters": plain(policy.parameters), "declared": [repr(entry) for entry in policy.declared], "certificates": certificates}


def _remembering(
    directory: Path, artefacts: Sequence[Artefact], check: Callable[..., Report], run: Callable[..., Any], policy: Mapping[str, Any]
) -> Report:
    """Check with what earlier runs found out: all is hashed first, and only what is new is run."""
    cache = ResultCache(directory)
    subjects = [subject for named in find_subjects(artefacts).values() for _, subject in named]
    digests = digests_of(subjects, artefacts, threads=cores())
    memory = Memory(cache, digests=digests, policy=policy, day=datetime.now(UTC).date())
    report = check(run=partial(run, memory=memory))
    memory.keep()
    return report.with_digests({artefact.name: digests[id(artefact.blob)] for artefact in artefacts if artefact.blob})


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


def _trusting(policy: Policy, certificates: Sequence[Path]) -> Policy:
    """Return the policy with these certificates for what boots, which must be some; as it is without any."""
    if not certificates:
        return policy
    from everest_secure.checks.secure_boot import certificates_in

    for file in certificates:
        certificates_in(file)
    return replace(policy, parameters=replace(policy.parameters, secure_boot_certificates=tuple(certificates)))
