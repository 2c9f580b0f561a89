"""What kernel-hardening-checker says of a configuration, where it is installed (KERN-01).

Its verdicts are shown beside ours and decide nothing: it knows no exceptions, asks for more than an embedded kernel can have, and a requirement must
not hold on one machine and fail on the next.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from everest_secure.errors import ToolError
from everest_secure.parse.kconfig import KernelConfig
from everest_secure.run import attempt

PROGRAM = "kernel-hardening-checker"
SECONDS = 30
_SHOWN = 200
"""Options that are named at most."""


def second_opinion(config: KernelConfig) -> str:
    """Return the program's verdicts in a sentence; empty when it is not installed."""
    if shutil.which(PROGRAM) is None:
        return ""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "config"
        file.write_bytes(config.text)
        try:
            done = attempt([PROGRAM, "-c", file, "-m", "json"], limit=SECONDS)
        except ToolError as error:
            return f"{PROGRAM} was not heard: {error}"
    if done.code:
        return f"{PROGRAM} was not heard: it ended with code {done.code}"
    return in_a_sentence(done.output)


def in_a_sentence(output: bytes) -> str:
    """Sum up its JSON: a list of records with `option_name`, `type` and `check_result_bool`."""
    try:
        records: list[Any] = json.loads(output)
        verdicts = {str(record["option_name"]).removeprefix("CONFIG_"): bool(record["check_result_bool"]) for record in records}
    except (ValueError, TypeError, KeyError):
        return f"{PROGRAM} was not heard: its answer is no list of verdicts"
    refused = [option for option, good in verdicts.items() if not good]
    more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    return f"{PROGRAM} approves of {len(verdicts) - len(refused)} of {len(verdicts)} options; not of {', '.join(refused[:_SHOWN])}{more}"
