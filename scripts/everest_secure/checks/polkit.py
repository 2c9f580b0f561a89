"""What polkit lets services do as root: ACC-06."""

from fnmatch import fnmatchcase

from everest_secure.checks.common import at, findings_up_to
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.image.tree import printable
from everest_secure.parse.patterns import matches
from everest_secure.parse.polkit import grants, polkit_runs, rule_files
from everest_secure.policy.parameters import Parameters

_ROOT = "unix-user:root"


@check("ACC-06", on=Scope.ROOT)
def polkit_lets_no_service_act_as_root(root: Root, policy: Parameters, note: Notes) -> None:
    """No default and no entry gives away an action that makes root, and rules, which are programs, are those that the policy lists."""
    if not polkit_runs(root.tree):
        raise NotApplicable("polkit is not installed")
    given = [
        (
            f"{printable(grant.who) or 'every program'} may do {printable(grant.action)} as root, without authentication",
            at(root, grant.path),
        )
        for grant in grants(root.tree)
        if grant.who != _ROOT and any(_overlap(grant.action, action) for action in policy.polkit_root_actions)
    ]
    findings_up_to(note, given, remedy="Take it out: what the service needs of root, a unit of its own does for it.")
    rules = rule_files(root.tree)
    strangers = [
        (f"{printable(path)} decides what programs may do as root, and the policy does not list it", at(root, path))
        for path in rules
        if not matches(path, policy.polkit_rules)
    ]
    findings_up_to(note, strangers, remedy="Remove it, or read it and list it under 'polkit_rules'.")
    note.saw(f"polkit with {len(rules)} files of rules")


def _overlap(given: str, pattern: str) -> bool:
    """Whether an action, which may be a pattern too, can be one that a pattern means."""
    return fnmatchcase(given, pattern) or fnmatchcase(pattern.rstrip("*"), given) or fnmatchcase(pattern, given)
