"""The layout of a store by itself (CERT-01): its directories, and nothing in it that leads out of it."""

from everest_secure.certs.subjects import is_store_alone
from everest_secure.checks.common import at
from everest_secure.checks.core import Check, Notes, Root
from everest_secure.checks.reason import Reason
from everest_secure.checks.state import certificate_store_has_its_layout
from everest_secure.checks.store import judge_directory, layout
from everest_secure.image.tree import NodeType, printable
from everest_secure.parse.evse_security import STORE
from everest_secure.policy.parameters import Parameters

_HELD = (NodeType.FILE, NodeType.DIRECTORY, NodeType.SYMLINK)


def with_stores_alone(check: Check) -> Check:
    """Return a check of CERT-01 that judges stores by themselves too, where no system shows what mounts them; any other as it is."""
    if check.function is not certificate_store_has_its_layout:
        return check

    def has_its_layout(root: Root, policy: Parameters, note: Notes) -> None:
        (_store_alone_has_its_layout if is_store_alone(root) else certificate_store_has_its_layout)(root, policy, note)

    return Check(check.requirement, check.scope, has_its_layout, check.name)


def _store_alone_has_its_layout(root: Root, policy: Parameters, note: Notes) -> None:
    user = policy.service_user
    for path in layout(root).directories:
        node = root.tree.resolve(path)
        if node is None or not node.is_directory:
            what = Reason.LAYOUT.said(f"the store has no directory {path}")
            note.finding(what, at=at(root, path), remedy=f"Make it, for {user.name} alone.")
            continue
        owned = node.uid == user.uid
        judge_directory(path, owner=str(node.uid), owned=owned, mode=node.mode, place=at(root, node.path), user=user, note=note)
    for node in root.tree.under(STORE):
        shown = printable(node.path)
        if node.type not in _HELD:
            note.finding(Reason.LAYOUT.said(f"{shown} is a {node.type}"), at=at(root, node.path), remedy="Remove it.")
        elif node.type is NodeType.SYMLINK and root.tree.resolve(node.path) is None:
            what = Reason.LAYOUT.said(f"{shown} is a link to {printable(node.target)}, which is not in the store")
            note.finding(what, at=at(root, node.path), remedy="Put the file itself there.")
