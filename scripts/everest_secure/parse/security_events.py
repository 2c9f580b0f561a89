"""Which units' lines the monitor looks for security events in: the tables of everest-security-monitor (docs/monitoring.md)."""

from everest_secure.image.tree import Tree

TABLE = "/usr/lib/everest-secure/security-events.tsv"
PRODUCTS = "/usr/lib/everest-secure/security-events.d"
_NOT_UNITS = ("*", "kernel")


def event_sources(tree: Tree) -> tuple[str, ...]:
    """Return the units that the tables name, sorted; without a table there are none. A row is event, severity, unit, expression, with tabs between."""
    own = tree.resolve(TABLE)
    tables = [node for node in (*tree.children(PRODUCTS), own) if node is not None and node.name.endswith(".tsv")]
    rows = [line.split("\t") for node in tables for line in tree.text(node.path).split("\n") if not line.startswith("#")]
    return tuple(sorted({row[2] for row in rows if len(row) >= 4} - {*_NOT_UNITS}))
