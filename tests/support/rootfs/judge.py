"""What all checks say of a root file system."""

from functools import cache

from everest_secure import checks
from everest_secure.checks.core import Scope, registered, run_check
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.parameters import Parameters
from everest_secure.policy.profile import load_profile
from everest_secure.result import Outcome
from support.rootfs.tree import RootFs


@cache
def production() -> Parameters:
    """Return the parameters of the profile `production`."""
    return load_profile("production", catalogue=load_catalogue()).parameters


def outcomes(fs: RootFs, policy: Parameters | None = None) -> dict[str, tuple[str, ...]]:
    """Run every check of a root file system; by requirement, what failed: the findings, or the reason of an error. Empty when it holds."""
    checks.load()
    root = fs.root
    found: dict[str, tuple[str, ...]] = {}
    for entry in registered():
        if entry.scope is not Scope.ROOT:
            continue
        result = run_check(entry, root, "rootfs", policy or production())
        wrong = tuple(finding.what for finding in result.findings)
        if result.outcome is Outcome.ERROR:
            wrong = (f"error: {result.reason}",)
        found[entry.requirement] = found.get(entry.requirement, ()) + wrong
    return found


def failing(fs: RootFs, policy: Parameters | None = None) -> dict[str, tuple[str, ...]]:
    """Return only the requirements that do not hold."""
    return {requirement: wrong for requirement, wrong in outcomes(fs, policy).items() if wrong}
