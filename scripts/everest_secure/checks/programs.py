"""Programs of EVerest that hold libevse-security."""

from everest_secure.checks.common import at, stored_configuration
from everest_secure.checks.core import NotApplicable, Notes, Root
from everest_secure.checks.stand_in import is_stand_in
from everest_secure.image.tree import Node
from everest_secure.parse.everest_manifests import MODULES
from everest_secure.parse.evse_security import MODULE
from everest_secure.parse.program_text import libraries
from everest_secure.policy.parameters import Parameters

LIBRARY = "libevse_security.so"
_ELF = b"\x7fELF"


def evse_security_programs(root: Root, policy: Parameters, note: Notes) -> tuple[Node, ...]:
    """Return the program of the module EvseSecurity and the library, where that is one of its own; none of them is a finding.

    Raises NotApplicable for an image with a stand-in for EVerest.
    """
    config = stored_configuration(root)
    directory = f"{str(config.setting('modules_dir') or MODULES) if config else MODULES}/{MODULE}"
    found = [
        node for node in (root.tree.resolve(f"{directory}/{MODULE}"), *libraries(root.tree, LIBRARY)) if node is not None and node.is_file
    ]
    programs = tuple(node for node in found if root.tree.blob(node).head(4) == _ELF)
    if not programs:
        if is_stand_in(root, policy):
            raise NotApplicable("the image holds a stand-in for EVerest, which has no libevse-security; an image built in full shows it")
        note.finding(f"no program of the module {MODULE} is installed", at=at(root, directory), remedy="Install everest-core whole.")
    return programs
