"""Reads images in a process that may take no more than a hostile input may cost: 10 seconds for each, 512 MiB, and not one byte written to a file.

`read_confined` starts it; it ends at once when a limit is passed, or with a traceback when a reader breaks down.
"""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS = 10
"""Processor time for one image: a busy machine is no fault of the reader."""
BYTES = 512 * 1024 * 1024
TESTS = Path(__file__).resolve().parents[1]


def read_confined(images: Sequence[Path], *, scratch: int = 0) -> Mapping[str, str]:
    """Read all of each image; return by its name an empty text, or the sentence with which it was refused.

    `scratch` is the number of bytes that may be written, as decompressing does.
    """
    command = [sys.executable, "-m", "support.confined", str(scratch), *map(str, images)]
    environment = {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'scripts'}", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    left = [image.name for image in images if image.name not in found]
    assert done.returncode == 0, f"{left[:1]}: {signal.Signals(-done.returncode).name if done.returncode < 0 else done.stderr}"
    return found


def main() -> None:
    """Read what the command line names and print a line of JSON for each."""
    scratch, *images = sys.argv[1:]
    from everest_secure.errors import ArtefactError
    from everest_secure.image.artefact import open_artefact
    from support.reading import everything

    for limit, value in ((resource.RLIMIT_DATA, BYTES), (resource.RLIMIT_FSIZE, int(scratch))):
        resource.setrlimit(limit, (value, value))
    for image in map(Path, images):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            everything(open_artefact(image))
            said = ""
        except ArtefactError as error:
            said = str(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps([image.name, said]), flush=True)


if __name__ == "__main__":
    main()
