"""Reference image only: writes `everest-proof: ID ok|FAILED what` for each fact, and `everest-proof: done` at the end."""

import importlib
import sys
from pathlib import Path

# Python's option -I leaves the program's own directory out of the search path.
sys.path.insert(0, str(Path(__file__).parent))

AREAS = ("accounts", "storage", "network", "tpm", "updates")
"""Modules whose proofs register themselves."""

if __name__ == "__main__":
    for area in AREAS:
        importlib.import_module(area)
    importlib.import_module("figures").say()
    importlib.import_module("proof").run_all()
