"""Units that are started by other means than unit files: systemd's generators, System V scripts, /etc/rc.local, users that linger."""

import re
from collections.abc import Iterator

from everest_secure.image.tree import Node, Tree
from everest_secure.parse.accounts import PASSWD, parse_passwd
from everest_secure.parse.tmpfiles import read_made

_PLACES = ("/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
OF_UNITS, OF_ENVIRONMENT = "system-generators", "system-environment-generators"
"""systemd.generator(7): programs that write units at boot; systemd.environment-generator(7): that set variables of every service."""
OF_SYSTEMD = "/usr/lib/systemd/system-generators/systemd-"
RC_LOCAL = "/etc/rc.local"
RUNLEVELS = ("/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d")
LINGER = "/var/lib/systemd/linger"
_START = re.compile(r"S[0-9]{2}(?P<name>.+)")


def generators(tree: Tree, kind: str = OF_UNITS) -> tuple[Node, ...]:
    """Return the programs that run as generators, the first directory's of each name: a mask (a link to /dev/null) or a file that nobody may run takes a name out."""
    found: dict[str, Node] = {}
    for place in _PLACES:
        for node in tree.children(f"{place}/{kind}"):
            found.setdefault(node.name, node)
    return tuple(node for node in found.values() if _runs(tree, node.path))


def _runs(tree: Tree, path: str) -> bool:
    file = tree.resolve(path)
    return file is not None and file.is_file and bool(file.size and file.mode & 0o111)


def _has_generator(tree: Tree, name: str) -> bool:
    return any(node.name == name for node in generators(tree))


def rc_local(tree: Tree) -> bool:
    """Whether systemd-rc-local-generator(8) makes /etc/rc.local a service."""
    return _runs(tree, RC_LOCAL) and _has_generator(tree, "systemd-rc-local-generator")


def init_scripts(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield name and link of each service that systemd-sysv-generator(8) makes of a script that a runlevel starts."""
    if not _has_generator(tree, "systemd-sysv-generator"):
        return
    for node in (node for directory in RUNLEVELS for node in tree.children(directory)):
        start = _START.fullmatch(node.name)
        if start and _runs(tree, node.path):
            yield f"{start['name'].removesuffix('.sh')}.service", node.path


def lingering(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the unit of each user whom logind gives a manager at boot, without a login (loginctl(1), `enable-linger`), and what says so.

    It is a file of the user's name, in the image or made by systemd-tmpfiles.
    """
    found = [(node.name, node.path) for node in tree.children(LINGER)]
    found += [(each.path.rpartition("/")[2], each.source) for each in read_made(tree, LINGER)]
    uids = {user.name: user.uid for user in parse_passwd(tree.text(PASSWD))} if found and tree.resolve(PASSWD) else {}
    yield from ((f"user@{uids.get(name, name)}.service", path) for name, path in found)
