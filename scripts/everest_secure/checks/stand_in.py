"""Whether an image holds stand-ins for EVerest's own programs, as reference and prebuilt images do and the profile for such images allows."""

from everest_secure.checks.core import Root
from everest_secure.policy.parameters import Parameters

MARK = "/usr/lib/everest-secure/stand-ins.json"


def is_stand_in(root: Root, policy: Parameters) -> bool:
    """Whether the image says that EVerest is a stand-in, under a profile that allows it. BIN-02 refuses it under any other."""
    return policy.stand_ins and root.tree.resolve(MARK) is not None
