"""Passwords that systemd takes from elsewhere than shadow(5): user records (nss-systemd(8)) and credentials (systemd-sysusers(8))."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

RECORDS = ("/etc/userdb", "/usr/local/lib/userdb", "/usr/lib/userdb")
CREDENTIALS = ("/etc/credstore", "/etc/credstore.encrypted", "/usr/lib/credstore", "/usr/lib/credstore.encrypted")
_SECRETS = ("passwd.hashed-password.*", "passwd.plaintext-password.*", "ssh.authorized_keys.*")


def read_other_secrets(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield path and what is wrong of each record or credential that lets someone log in."""
    for node in (node for directory in RECORDS for node in tree.children(directory)):
        if node.name.endswith((".user", ".user-privileged")) and _hashed_passwords(tree, node.path):
            yield node.path, f"the user record {node.name} has a password"
    for node in (node for directory in CREDENTIALS for node in tree.children(directory)):
        if any(fnmatchcase(node.name, pattern) for pattern in _SECRETS):
            yield node.path, f"the credential {node.name} sets a password or key"


def _hashed_passwords(tree: Tree, path: str) -> bool:
    """Whether a record lists a password that is not locked (USER_RECORD of systemd, section `privileged`)."""
    try:
        record = json.loads(tree.text(path))
    except (ValueError, RecursionError):
        raise ArtefactError(f"{path} is no JSON user record; remove it") from None
    sections = [record, record.get("privileged")] if isinstance(record, dict) else []
    hashes = [each for section in sections if isinstance(section, dict) for each in section.get("hashedPassword") or []]
    return any(not str(each).startswith(("!", "*")) for each in hashes)
