"""Who may call a service on the system bus (dbus-daemon(1), "policy"; bus/policy.c): contexts in order, the last matching rule wins."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from posixpath import join
from xml.etree import ElementTree

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.xml_text import parse_xml

SYSTEM_CONF = "/usr/share/dbus-1/system.conf"
MAX_FILES = 1000
AWAY = "away from the console"
"""The context `at_console="false"`: everybody on a machine whose PAM marks nobody as sitting at it (bus/policy.c of 1.14), as no charger's does."""
CONTEXTS = ("default", "group", "user", AWAY, "mandatory")
HARMLESS_INTERFACES = ("org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer")
EVERYONE = "*"
"""Stands for any user that no rule names."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An `<allow>` or `<deny>` and whom it concerns."""

    context: str
    """One of `CONTEXTS`."""
    principal: str
    """User or group of the context; empty for the others."""
    allow: bool
    attributes: tuple[tuple[str, str], ...]
    path: str

    def matches_call_to(self, service: str) -> "bool | None":
        """Whether a method call to the service matches: None when it depends on interface, member, path or files that are sent along.

        `eavesdrop` says who else gets a message, and `send_requested_reply` which replies pass: neither takes calls out of a rule.
        """
        given = dict(self.attributes)
        if any(name.startswith(("receive_", "own", "user", "group")) for name in given):
            return False
        if not any(name.startswith("send_") for name in given):
            return False
        destination, prefix = given.get("send_destination", "*"), given.get("send_destination_prefix")
        if destination not in ("*", service) or (prefix and not (service == prefix or service.startswith(f"{prefix}."))):
            return False
        if given.get("send_type", "*") not in ("*", "method_call"):
            return False
        if given.get("send_broadcast") == "true" or given.get("send_interface") in HARMLESS_INTERFACES:
            return False
        narrow = [
            name
            for name in ("send_interface", "send_member", "send_path", "send_error", "min_fds", "max_fds")
            if given.get(name, "*") != "*"
        ]
        return None if narrow else True


def rules_of(element: ElementTree.Element, path: str) -> Iterator[Rule]:
    """Yield the rules of one `<policy>`; those for users at the console are for nobody, and are left out."""
    at_console = element.get("at_console")
    if at_console == "true":
        return
    given = next((name for name in ("user", "group") if name in element.attrib), element.get("context", "default"))
    context = AWAY if at_console == "false" else given
    for child in element:
        if child.tag in ("allow", "deny"):
            yield Rule(context, element.get(context, ""), child.tag == "allow", tuple(sorted(child.attrib.items())), path)


def read_bus_policy(tree: Tree, path: str = SYSTEM_CONF) -> tuple[Rule, ...]:
    """Read all rules of the system bus in the order of its files.

    Raises ArtefactError when the bus has no configuration.
    """
    found: list[Rule] = []
    visited: list[str] = []

    def visit(path: str) -> None:
        visited.append(path)
        if len(visited) > MAX_FILES:
            raise ArtefactError(f"{path} is one of more than {MAX_FILES} included files; it is taken for a loop")
        for element in parse_xml(tree.text(path), path):
            if element.tag == "policy":
                found.extend(rules_of(element, path))
            elif element.tag in ("include", "includedir", "standard_system_servicedirs"):
                for name in _included(tree, element, path):
                    visit(name)

    visit(path)
    return tuple(found)


def _included(tree: Tree, element: ElementTree.Element, path: str) -> list[str]:
    name = join(path.rpartition("/")[0], (element.text or "").strip())
    if element.tag == "includedir":
        return [node.path for node in tree.children(name) if node.name.endswith(".conf")]
    if element.tag != "include" or element.get("if_selinux_enabled") == "yes":
        return []
    if tree.resolve(name) is None and element.get("ignore_missing") == "yes":
        return []
    return [name]


def may_call(rules: tuple[Rule, ...], service: str, *, user: str, groups: tuple[str, ...] = ()) -> Rule | None:
    """Return the rule by which a user may call some method of the service; None when none lets him.

    A rule about single interfaces or members counts when it allows and does not when it denies, so that the answer errs towards `may`.
    """
    answer: Rule | None = None
    for context in CONTEXTS:
        for rule in rules:
            if rule.context != context or not _concerns(rule, user, groups):
                continue
            matches = rule.matches_call_to(service)
            if rule.allow and matches is not False:
                answer = rule
            elif not rule.allow and matches is True:
                answer = None
    return answer


def _concerns(rule: Rule, user: str, groups: tuple[str, ...]) -> bool:
    if rule.context == "user":
        return rule.principal in (user, EVERYONE)
    if rule.context == "group":
        return rule.principal == EVERYONE or rule.principal in groups
    return True


def callers(
    rules: tuple[Rule, ...], service: str, *, groups_of: Callable[[str], tuple[str, ...]], users: tuple[str, ...]
) -> dict[str, Rule]:
    """Return who may call the service and by which rule: user names, `group:NAME`, and `*` for everyone else.

    `users` are the accounts of the image; those named in rules are asked for too.
    """
    named = {rule.principal for rule in rules if rule.context == "user"}
    found: dict[str, Rule] = {}
    for user in (EVERYONE, *sorted({*users, *named} - {EVERYONE})):
        rule = may_call(rules, service, user=user, groups=groups_of(user) if user != EVERYONE else ())
        if rule and (user == EVERYONE or EVERYONE not in found):
            found[user] = rule
    for group in sorted({rule.principal for rule in rules if rule.context == "group"} - {EVERYONE}):
        rule = may_call(rules, service, user=EVERYONE, groups=(group,))
        if rule and EVERYONE not in found:
            found[f"group:{group}"] = rule
    return found
