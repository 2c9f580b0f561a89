"""Accounts: passwd(5), shadow(5), group(5) and gshadow(5)."""

from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

PASSWD, SHADOW, GROUP, GSHADOW = "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"


@dataclass(frozen=True, slots=True)
class User:
    """A line of passwd(5)."""

    name: str
    password: str
    """`x` when shadow(5) decides; empty means no password is asked for."""
    uid: int
    gid: int
    home: str
    shell: str
    line: int


@dataclass(frozen=True, slots=True)
class Secret:
    """A password field of shadow(5) or gshadow(5)."""

    name: str
    password: str
    line: int

    @property
    def locked(self) -> bool:
        """Whether no password can match: the field starts with `!` or `*` (crypt(5): no hash does)."""
        return self.password.startswith(("!", "*"))


@dataclass(frozen=True, slots=True)
class Group:
    """A line of group(5)."""

    name: str
    password: str
    gid: int
    members: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """All four files; a file that is missing has no entries."""

    users: tuple[User, ...]
    secrets: tuple[Secret, ...]
    groups: tuple[Group, ...]
    group_secrets: tuple[Secret, ...]

    def user(self, name: str) -> User | None:
        """Return the first account of that name, as getpwnam(3) does."""
        return next((user for user in self.users if user.name == name), None)

    def group(self, name: str) -> Group | None:
        """Return the first group of that name, as getgrnam(3) does."""
        return next((group for group in self.groups if group.name == name), None)

    def secret(self, name: str) -> Secret | None:
        """Return the shadow entry of a user."""
        return next((secret for secret in self.secrets if secret.name == name), None)

    def memberships(self, name: str) -> tuple[str, ...]:
        """Return the names of the groups that list the user, sorted; its primary group is not among them unless listed."""
        return tuple(sorted({group.name for group in self.groups if name in group.members}))


def _fields(text: str, where: str, count: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(":")
        if len(fields) != count:
            raise ArtefactError(f"{where}:{number} has {len(fields)} fields instead of {count}; mend the file")
        yield number, fields


def _number(field: str, where: str, line: int) -> int:
    if not field.isascii() or not field.isdigit():
        raise ArtefactError(f"{where}:{line} has an id that is no number; mend the file")
    return int(field)


def parse_passwd(text: str, where: str = PASSWD) -> tuple[User, ...]:
    """Parse passwd(5); raises ArtefactError for a line that is none."""
    return tuple(
        User(f[0], f[1], _number(f[2], where, line), _number(f[3], where, line), f[5], f[6], line) for line, f in _fields(text, where, 7)
    )


def parse_shadow(text: str, where: str = SHADOW) -> tuple[Secret, ...]:
    """Parse shadow(5); raises ArtefactError for a line that is none."""
    return tuple(Secret(f[0], f[1], line) for line, f in _fields(text, where, 9))


def parse_group(text: str, where: str = GROUP) -> tuple[Group, ...]:
    """Parse group(5); raises ArtefactError for a line that is none."""
    return tuple(
        Group(f[0], f[1], _number(f[2], where, line), tuple(filter(None, f[3].split(","))), line) for line, f in _fields(text, where, 4)
    )


def parse_gshadow(text: str, where: str = GSHADOW) -> tuple[Secret, ...]:
    """Parse gshadow(5); raises ArtefactError for a line that is none."""
    return tuple(Secret(f[0], f[1], line) for line, f in _fields(text, where, 4))


def read_accounts(tree: Tree) -> Accounts:
    """Read the accounts of a root file system.

    Raises ArtefactError when /etc/passwd or /etc/group is missing or a file is malformed; shadow files may be missing.
    """

    def optional(path: str) -> str:
        return tree.text(path) if tree.resolve(path) else ""

    return Accounts(
        users=parse_passwd(tree.text(PASSWD)),
        secrets=parse_shadow(optional(SHADOW)),
        groups=parse_group(tree.text(GROUP)),
        group_secrets=parse_gshadow(optional(GSHADOW)),
    )
