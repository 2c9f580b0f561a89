"""Configuration directories of systemd's programs: files by name, the first directory's of each name (systemd's conf-files.c)."""

from everest_secure.image.tree import Node, Tree
from everest_secure.parse.unit_file import Assignment, parse_unit_file

PREFIXES = ("/etc", "/usr/local/lib", "/usr/lib", "/lib")
"""Where systemd's programs look, what counts first comes first (CONF_PATHS of systemd's constants.h), without `/run`, of which nothing in an image counts;
`/lib` where /usr is not merged."""


def places(name: str) -> tuple[str, ...]:
    """Return the places of a file or directory: `/etc/sysctl.d`, `/usr/local/lib/sysctl.d` ... for `sysctl.d`."""
    return tuple(f"{prefix}/{name}" for prefix in PREFIXES)


def conf_files(tree: Tree, directories: tuple[str, ...], suffix: str = ".conf") -> tuple[Node, ...]:
    """Return the entries to read, files and links to files, in their order; a name that an empty file or a link to /dev/null takes is left out."""
    entries: dict[str, Node] = {}
    for directory in directories:
        for child in tree.children(directory):
            if child.name.endswith(suffix) and not child.is_directory:
                entries.setdefault(child.name, child)
    return tuple(entries[name] for name in sorted(entries) if _has_content(tree, entries[name]))


def first_file(tree: Tree, candidates: tuple[str, ...]) -> Node | None:
    """Return the entry at the first of some places; None when there is none, or when what is there masks the others."""
    for path in candidates:
        entry = tree.resolve(path, follow_last=False)
        if entry is not None and not entry.is_directory:
            return entry if _has_content(tree, entry) else None
    return None


def _has_content(tree: Tree, entry: Node) -> bool:
    node = tree.resolve(entry.path)
    return node is not None and node.is_file and node.size > 0


def read_with_drop_ins(tree: Tree, file: Node, directories: tuple[str, ...]) -> tuple[Assignment, ...]:
    """Read a file of these directories, then the drop-ins of `NAME.d` by name."""
    drop_ins = conf_files(tree, tuple(f"{directory}/{file.name}.d" for directory in directories))
    return tuple(each for node in (file, *drop_ins) for each in parse_unit_file(tree.text(node.path), node.path))


def read_daemon_conf(tree: Tree, name: str) -> tuple[Assignment, ...]:
    """Read the configuration of one of systemd's daemons, `journald.conf`: the first file of that name, then the drop-ins of `NAME.d` by name."""
    main = first_file(tree, places(f"systemd/{name}"))
    nodes = ([main] if main is not None else []) + list(conf_files(tree, places(f"systemd/{name}.d")))
    return tuple(each for node in nodes for each in parse_unit_file(tree.text(node.path), node.path))
