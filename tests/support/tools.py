"""The programs of this machine, called or answering in another way than usual."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from everest_secure.run import Argument, HostTools


class ArrangedTools(HostTools):
    """The programs of this machine; a subclass says how they are called and what happens once they have ended."""

    def called(self, argv: Sequence[Argument]) -> Sequence[Argument]:
        """Return what is run in the place of `argv`."""
        return argv

    def done(self, argv: Sequence[Argument]) -> None:
        """Do what happens after `argv` has ended well."""

    def run(
        self,
        argv: Sequence[Argument],
        *,
        paths: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
    ) -> bytes:
        """See `Tools.run`."""
        said = super().run(self.called(argv), paths=paths, env=env, cwd=cwd, stdin=stdin)
        self.done(argv)
        return said
