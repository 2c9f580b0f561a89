"""Kernel command line, split as the kernel (lib/cmdline.c, next_arg) and systemd (proc-cmdline.c) do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Parameters in order; a name may come several times."""

    parameters: tuple[tuple[str, str | None], ...]
    """Name and value; None for a parameter without `=`. Those after `--` are for init and are in here too."""

    def has(self, name: str) -> bool:
        """Whether a parameter of that name is there; `-` and `_` are the same (parameq of the kernel)."""
        return any(_same(name, found) for found, _ in self.parameters)

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter, in order; without `=` the value is empty."""
        return tuple(value or "" for found, value in self.parameters if _same(name, found))

    def last(self, name: str) -> str | None:
        """Return the value that counts where the last one wins; None when the parameter is absent."""
        values = self.values(name)
        return values[-1] if values else None

    @property
    def root_read_only(self) -> bool:
        """Whether the kernel mounts the root read-only: the last of `ro` and `rw` counts; without either it is read-only (init/do_mounts.c)."""
        said = [name for name, value in self.parameters if name in ("ro", "rw") and value is None]
        return not said or said[-1] == "ro"


def _same(one: str, other: str) -> bool:
    return one.replace("-", "_") == other.replace("-", "_")


def parse_cmdline(text: str) -> CommandLine:
    """Split a command line; double quotes group, and are taken off around a whole parameter or a value."""
    words, word, quoted = [], "", False
    for character in text.replace("\0", " ").strip():
        if character == '"':
            quoted = not quoted
        if character.isspace() and not quoted:
            words.append(word)
            word = ""
        else:
            word += character
    return CommandLine(tuple(_parameter(found) for found in [*words, word] if found))


def _parameter(word: str) -> tuple[str, str | None]:
    if word.startswith('"'):
        word = word.strip('"')
    name, equals, value = word.partition("=")
    return name, value.strip('"') if equals else None
