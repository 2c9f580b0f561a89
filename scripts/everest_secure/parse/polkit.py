"""Who polkit lets act as root (polkit(8), pklocalauthority(8)): defaults of actions, rules, and entries of the local authority that older versions read."""

from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Node, Tree
from everest_secure.parse.patterns import matches
from everest_secure.parse.xml_text import parse_xml

_BASES = ("/etc/polkit-1", "/usr/local/share/polkit-1", "/usr/share/polkit-1")
"""Where polkit looks for rules and actions; versions before 125 leave out some of them."""
_AUTHORITIES = ("/etc/polkit-1/localauthority", "/var/lib/polkit-1/localauthority")
_ACTIVATION = "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service"
MAX_FILES = 1000
"""Files of one kind before an image is taken for hostile."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Something that may be done without any authentication by callers without a session, as services are."""

    action: str
    """Name of an action, or a pattern of names where the local authority says so."""
    who: str
    """Whom it concerns, such as `unix-user:everest`; empty for everyone."""
    path: str
    """File that says so."""


def polkit_runs(tree: Tree) -> bool:
    """Whether the daemon is there, which the bus starts as soon as a program asks it."""
    return tree.resolve(_ACTIVATION) is not None


def rule_files(tree: Tree) -> list[str]:
    """Return the paths of all rules, which are programs in JavaScript; raises ArtefactError when there are too many."""
    return [node.path for node in _files(tree, [f"{base}/rules.d" for base in _BASES], ".rules")]


def grants(tree: Tree) -> list[Grant]:
    """Return what defaults of actions and the local authority allow; raises ArtefactError for a file that cannot be read."""
    actions = _files(tree, [f"{base}/actions" for base in _BASES], ".policy")
    authorities = [node for base in _AUTHORITIES for directory in tree.children(base) for node in _files(tree, [directory.path], ".pkla")]
    described = [(action, node.path) for node in actions for action in parse_xml(tree.text(node.path), node.path).iter("action")]
    given = [
        *(grant for action, path in described for grant in _defaults(action, path)),
        *(grant for node in authorities for grant in _entries(tree.text(node.path), node.path)),
    ]
    implied = [(action.get("id", ""), other) for action, _ in described for other in _implied(action)]
    return given + [Grant(other, grant.who, grant.path) for grant in given for name, other in implied if matches(name, (grant.action,))]


def _files(tree: Tree, directories: list[str], ending: str) -> list[Node]:
    found = [node for directory in directories for node in tree.children(directory) if node.name.endswith(ending)]
    if len(found) > MAX_FILES:
        raise ArtefactError(f"{tree.name} holds {len(found)} files of polkit; it is taken for hostile and not read")
    return found


def _defaults(action: Element, path: str) -> Iterator[Grant]:
    """Yield an action of a `.policy` file if anyone is allowed it: `allow_any` is what counts for callers without a session."""
    if (action.findtext("defaults/allow_any") or "no").strip() == "yes":
        yield Grant(action.get("id", ""), "", path)


def _implied(action: Element) -> Iterator[str]:
    """Yield the actions that whoever may do one may do as well (polkit(8), "Known annotations")."""
    for each in action.iter("annotate"):
        if each.get("key") == "org.freedesktop.policykit.imply":
            yield from (each.text or "").split()


def _entries(text: str, path: str) -> Iterator[Grant]:
    """Yield what the entries of a `.pkla` file allow callers without a session, by `ResultAny`."""
    parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(text)
    except ConfigError:
        raise ArtefactError(f"{path} is no key file that polkit reads; mend the file") from None
    for section in parser.values():
        if section.get("ResultAny", "no").strip() == "yes":
            for action in filter(None, section.get("Action", "").split(";")):
                for who in filter(None, section.get("Identity", "").split(";")):
                    yield Grant(action.strip(), who.strip(), path)
