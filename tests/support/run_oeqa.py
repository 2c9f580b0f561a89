"""Runs with OE-Core's library: the layer's runtime cases as testimage runs them, on a container. Prints nothing; writes testresults.json.

Arguments: OE-Core's lib, directories of its cases and ours, a process in the container, JSON of the variables of the image, a directory for results.
"""

import importlib
import json
import logging
import subprocess
import sys
from pathlib import Path

library, cases, own, process, settings, directory = sys.argv[1:]
sys.path.insert(0, library)
sys.path.insert(0, str(Path(own).parents[2]))


class Container:
    """What oeqa calls a target: commands are run in the namespaces of a container, as over ssh."""

    ip = "127.0.0.1"

    def run(self, command: str, timeout: int = 60) -> tuple[int, str]:
        """Return exit code and output of a command."""
        enter = ["nsenter", "--target", process, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "/bin/sh", "-c", command]
        done = subprocess.run(enter, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout.strip()


logger = logging.getLogger()
said = json.loads(settings)
context = importlib.import_module("oeqa.runtime.context").OERuntimeTestContext(
    said["variables"], logger, Container(), set(said["packages"]), directory
)
context.loadTests([cases, own], modules=["ping", "ssh", "everest_hardening"])
results = context.runTests()
results.logDetails(directory, said["configuration"], "runtime_of_a_container")
