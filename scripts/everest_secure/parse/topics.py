"""Topics of MQTT in the broker's access list and bridges (MQTT 3.1.1, 4.7; mosquitto.conf(5), `acl_file` and `topic`; src/security_default.c)."""

from collections.abc import Iterable
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.parse.mosquitto import Bridge

_ACCESS = {"read": (True, False), "write": (False, True), "readwrite": (True, True), "deny": (False, False)}
_DIRECTIONS = ("in", "out", "both")


@dataclass(frozen=True, slots=True)
class Grant:
    """A line of an access list: what it lets a client do with a topic."""

    topic: str
    read: bool
    write: bool
    user: str
    """Who may: a user, or empty for clients without a name; `*` for a pattern, which is everybody's."""
    line: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A topic of a bridge, as it is called on the far side."""

    topic: str
    inward: bool
    """Whether messages come from the far side."""
    outward: bool
    path: str
    line: int


def covers(allowed: str, asked: str) -> bool:
    """Whether every topic that the filter `asked` stands for is one of the filter `allowed`.

    In an access list's pattern `%u` and `%c` stand for any name.
    """
    mine, theirs = allowed.split("/"), ["+" if "%" in level else level for level in asked.split("/")]
    if asked.startswith("$") and not allowed.startswith("$"):
        return False
    for position, level in enumerate(mine):
        if level == "#":
            return True
        if position >= len(theirs) or theirs[position] == "#":
            return False
        if level != "+" and level != theirs[position]:
            return False
    return len(mine) == len(theirs)


def within(topic: str, allowed: Iterable[str]) -> bool:
    """Whether one of the filters covers all of a topic or filter."""
    return any(covers(each, topic) for each in allowed)


def parse_acl(text: str, path: str) -> tuple[Grant, ...]:
    """Parse an access list; a topic without access is for reading and writing. Raises ArtefactError for what mosquitto refuses."""
    found: list[Grant] = []
    user = ""
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        kind, _, rest = line.partition(" ")
        if kind == "user" and rest.strip():
            user = rest.strip()
            continue
        if kind not in ("topic", "pattern") or not rest.strip():
            raise ArtefactError(f"{path}:{number} is neither a user nor a topic nor a pattern; mosquitto refuses it")
        word, _, topic = rest.strip().partition(" ")
        if word not in _ACCESS or not topic.strip():
            word, topic = "readwrite", rest
        read, write = _ACCESS[word]
        found.append(Grant(topic.strip(), read, write, "*" if kind == "pattern" else user, number))
    return tuple(found)


def passages(bridge: Bridge) -> tuple[Passage, ...]:
    """Return the topics of a bridge: `topic PATTERN [DIRECTION [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]`, `out` by default."""
    found: list[Passage] = []
    for option in bridge.options:
        if option.name != "topic":
            continue
        words = option.value.split()
        pattern = "" if words[:1] == ['""'] else (words or [""])[0]
        direction = words[1] if len(words) > 1 else "out"
        if not words or direction not in _DIRECTIONS:
            raise ArtefactError(f"{option.path}:{option.line} names no topic and direction of a bridge; mosquitto refuses it")
        prefix = words[4] if len(words) > 4 and words[4] != '""' else ""
        found.append(Passage(prefix + pattern, direction != "out", direction != "in", option.path, option.line))
    return tuple(found)
