"""PAM service files of /etc/pam.d (pam.conf(5)): which modules take a missing password for a good one."""

import re
from dataclasses import dataclass

from everest_secure.image.tree import Tree

DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d")
_LINE = re.compile(
    r"-?(?P<type>auth|account|password|session)\s+(?P<control>\[[^]]*\]|\S+)\s+(?P<module>\S+)\s*(?P<arguments>.*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a service file."""

    type: str
    control: str
    module: str
    arguments: tuple[str, ...]
    path: str
    line: int

    @property
    def accepts_empty_password(self) -> bool:
        """Whether this rule lets an account with an empty password in (pam_unix(8): `nullok`)."""
        return self.type == "auth" and "nullok" in self.arguments


def parse_pam(text: str, path: str) -> tuple[Rule, ...]:
    """Parse a service file; of an `@include` nothing is said here: what it names is a service file itself."""
    rules = []
    for number, line in enumerate(text.split("\n"), start=1):
        found = _LINE.match(line.split("#", 1)[0].strip())
        if found:
            arguments = tuple(found["arguments"].split())
            rules.append(Rule(found["type"].lower(), found["control"], found["module"], arguments, path, number))
    return tuple(rules)


def read_pam(tree: Tree) -> tuple[Rule, ...]:
    """Read every service file of a root file system."""
    files = [node.path for directory in DIRECTORIES for node in tree.children(directory) if node.is_file]
    return tuple(rule for path in files for rule in parse_pam(tree.text(path), path))
