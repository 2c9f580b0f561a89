"""All that there is to read in an artefact."""

from everest_secure.image.artefact import Artefact
from everest_secure.image.fit import Fit
from everest_secure.image.raucb import RaucBundle
from everest_secure.image.tree import Tree
from everest_secure.image.verity import Verity

LONGEST = 1 << 24
"""Bytes of a file that is read."""


def everything(artefact: Artefact, *, longest: int = LONGEST) -> list[object]:
    """Read all there is to read; the content of files only up to `longest` bytes."""
    found: list[object] = []
    for part in artefact.walk():
        found.append((part.name.partition(":")[2], part.kind))
        if part.tree:
            found += contents(part.tree, longest=longest)
        if isinstance(part.facts, Fit):
            found += [part.facts.command_lines(each) for each in part.facts.configurations.values()]
            found += [image.wrong_hashes() for image in part.facts.images.values()]
        if isinstance(part.facts, Verity):
            found.append(part.facts.verify_tree())
        if isinstance(part.facts, RaucBundle) and part.facts.tree:
            found.append(part.facts.verify_payload())
    return found


def contents(tree: Tree, *, longest: int = LONGEST) -> list[object]:
    """Return every node with its content, which is empty for what is no file or longer than `longest` bytes."""
    return [(node, tree.blob(node).read(0, node.size) if node.is_file and node.size < longest else b"") for node in tree.nodes()]
