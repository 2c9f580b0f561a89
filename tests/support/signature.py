"""What BitBake puts into a task's signature for the files that the task names."""

import subprocess
import sys
from pathlib import Path

_ASK = "import sys, bb.fetch2; [print(path, digest) for path, digest in bb.fetch2.get_file_checksums(sys.argv[1], 'charger', '')]"
"""As bb.siggen does for `file-checksums`; a process of its own, as BitBake remembers what it has read."""


def file_checksums(flag: str) -> dict[Path, str]:
    """Return the digest of each file in the value of a `file-checksums` flag, which makes a task run again when it changes."""
    done = subprocess.run([sys.executable, "-c", _ASK, flag], capture_output=True, text=True, check=True)
    return {Path(path): digest for path, digest in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def changes_with(flag: str, file: Path, other: bytes) -> bool:
    """Whether other content of a file makes the task that has this flag run again, and the old content does not."""
    before, content = file_checksums(flag), file.read_bytes()
    assert len(before) == len(flag.split())
    file.write_bytes(other)
    changed = file_checksums(flag)
    file.write_bytes(content)
    assert file_checksums(flag) == before
    return {path for path in before if before[path] != changed[path]} == {file}
