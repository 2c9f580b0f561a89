"""Kernel command line, split as the kernel (lib/cmdline.c, next_arg) and systemd (proc-cmdline.c) do."""

from dataclasses import dataclass

NO = ("0", "no", "n", "false", "f", "off")
"""What systemd takes for no, in upper or lower case (parse_boolean())."""
_END = ("--", None)
"""Where the kernel stops: what follows it hands to init (kernel/params.c, parse_args). systemd reads that like the rest."""
_RUNLEVELS = {**dict.fromkeys("234", "multi-user.target"), "5": "graphical.target"}
"""Numbers of System V init; those that lead to a shell are NET-07's."""


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
    def kernel(self) -> "CommandLine":
        """The parameters that the kernel reads: those before `--`."""
        return CommandLine(self.parameters[: self.parameters.index(_END)]) if _END in self.parameters else self

    @property
    def initrd(self) -> "CommandLine":
        """The parameters as systemd reads most of them in an initrd: those with `rd.` are for it alone, and it takes that off (PROC_CMDLINE_STRIP_RD_PREFIX)."""
        return CommandLine(tuple((name.removeprefix("rd."), value) for name, value in self.parameters))

    def asks_for(self, name: str) -> bool:
        """Whether a switch of systemd's is on: the parameter is there, and its last value does not say no."""
        value = self.last(name)
        return value is not None and value.lower() not in NO

    @property
    def closed(self) -> bool:
        """Whether it ends with its only `--`, so that the kernel reads nothing that is appended."""
        return self.kernel.parameters == self.parameters[:-1] and self.parameters[-1:] == (_END,)

    @property
    def targets(self) -> tuple[tuple[str, str], ...]:
        """Parameters that name what systemd starts in place of default.target, and the unit (systemd(1), "Kernel Command Line")."""
        units = [(f"systemd.unit={value}", value) for value in self.values("systemd.unit") if value]
        return (*units, *((name, _RUNLEVELS[name]) for name, value in self.parameters if value is None and name in _RUNLEVELS))

    @property
    def root_read_only(self) -> bool:
        """Whether the root is mounted read-only, by the kernel and by systemd in an initrd.

        For each the last of `ro` and `rw` counts; without either it is read-only (init/do_mounts.c, systemd-fstab-generator(8)).
        """
        return all(_said_last(line.parameters, "ro", "rw") in ("ro", "") for line in (self.kernel, self))


def _said_last(parameters: tuple[tuple[str, str | None], ...], *names: str) -> str:
    """Return the last parameter of these names that has no value; empty without any."""
    return next((name for name, value in reversed(parameters) if name in names and value is None), "")


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
