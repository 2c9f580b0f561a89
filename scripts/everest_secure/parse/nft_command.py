"""What a command line of nft does (nft(8), "OPTIONS"; src/main.c of nftables)."""

from dataclasses import dataclass

_READING = ("list", "describe", "monitor", "help")
_WITH_VALUE = ("f", "I", "D", "d")


@dataclass(frozen=True, slots=True)
class NftCommand:
    """Rules that the command loads from files, or changes by its own words."""

    loads: tuple[str, ...]
    changes: tuple[str, ...]
    """Words of a command such as `flush ruleset`; empty for one that only reads."""


def parse_nft(command: tuple[str, ...]) -> NftCommand:
    """Read the arguments of nft: short options may share a word, and with `-c` nothing reaches the kernel."""
    files: list[str] = []
    words: list[str] = []
    checks = False
    arguments = list(command[1:])
    while arguments:
        argument = arguments.pop(0)
        name, equals, value = argument.partition("=")
        if argument.startswith("--"):
            checks |= name == "--check"
            if name in ("--file", "--includepath", "--define", "--debug"):
                value = value if equals else (arguments.pop(0) if arguments else "")
            files += [value] if name == "--file" else []
        elif argument.startswith("-") and argument != "-":
            for at, letter in enumerate(argument[1:], start=1):
                checks |= letter == "c"
                if letter in _WITH_VALUE:
                    value = argument[at + 1 :] or (arguments.pop(0) if arguments else "")
                    files += [value] if letter == "f" else []
                    break
        else:
            words.append(argument)
    if checks:
        return NftCommand((), ())
    return NftCommand(tuple(files), tuple(words) if words and words[0] not in _READING else ())
