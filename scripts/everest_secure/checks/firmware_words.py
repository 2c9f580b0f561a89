"""Words that firmware adds to a signed command line: BOOT-03.

systemd-stub appends an SMBIOS string, with secure boot too. The kernel can be kept from it, by a command line that ends with `--`; systemd and its
generators cannot, as they read everything: another root hash, units that are masked, credentials. So what runs before them has to look.
"""

from everest_secure.checks.common import entries_of, place_of
from everest_secure.checks.contents import digest
from everest_secure.checks.core import STARTING, Location, Notes, Starting, check
from everest_secure.image.artefact import Artefact
from everest_secure.parse.uki_stub import FIRMWARE_WORDS
from everest_secure.policy.parameters import Parameters

_INIT = "/init"
_OTHER_STUB = "or build the UKI with a stub that appends nothing (systemd before 254)"


@check("BOOT-03", on=STARTING)
def nothing_that_firmware_adds_to_a_command_line_takes_effect(starting: Starting, policy: Parameters, note: Notes) -> None:
    """Where a UKI's stub appends what firmware hands it, the line ends with `--`, and the initrd's init is one that starts nothing with a word behind it."""
    known: list[tuple[Artefact, str]] = []
    for entry in entries_of(starting):
        place = place_of(entry)
        if not entry.firmware_appends:
            note.saw(f"{place}: no stub that appends what firmware hands it")
        elif not entry.command_line.closed:
            line = entry.command_line
            then = "the kernel takes them for its own" if line == line.kernel else "no initrd can tell them from those behind '--'"
            what = f"systemd-stub appends words from SMBIOS ({FIRMWARE_WORDS}) to this command line, with secure boot too, and {then}"
            remedy = f"End the command line with '--', addons included, and start from an initrd that refuses words behind it, such as \
everest-secure-initramfs, {_OTHER_STUB}."
            note.finding(what, at=place, remedy=remedy)
        else:
            for initrd in entry.initrds or (None,):
                where = Location(initrd.name, _INIT) if initrd else place
                _judge_init(where, _init_digest(initrd, known) if initrd else "", policy.initrd_inits, note)


def _judge_init(place: Location, found: str, accepted: tuple[str, ...], note: Notes) -> None:
    """Note whether the first program of an initrd, if there is one, is one that looks behind the `--`."""
    if found and found in accepted:
        note.saw(f"{place}: refuses words behind '--' (SHA-256 {found})")
        return
    looks = f"the initrd's {_INIT} (SHA-256 {found}) is none that is known to look" if found else f"no initrd with an {_INIT} looks"
    what = f"systemd reads the words from SMBIOS ({FIRMWARE_WORDS}) that systemd-stub appends behind '--', and {looks} for them before"
    remedy = (
        f"Start from everest-secure-initramfs, or read this {_INIT} and list its SHA-256 under 'initrd_inits' if it starts nothing when a word \
follows '--', {_OTHER_STUB}."
    )
    note.finding(what, at=place, remedy=remedy)


def _init_digest(initrd: Artefact, known: list[tuple[Artefact, str]]) -> str:
    """Return the SHA-256 of an initrd's init, links followed; empty when there is none.

    A disk holds the same initrd in several UKIs: `known` gathers those that were unpacked, with what was found.
    """
    for other, found in known:
        if initrd.same_content(other):
            return found
    node = initrd.tree.resolve(_INIT) if initrd.tree else None
    found = digest(initrd.tree.blob(node)) if initrd.tree and node and node.is_file else ""
    known.append((initrd, found))
    return found
