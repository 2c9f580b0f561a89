"""Fuzzes one target until a finding, or for a time: `python -m fuzz.one TARGET SECONDS DIRECTORY`.

libFuzzer holds the limits that any input must keep: 10 seconds and 512 MiB. What it learns is kept in DIRECTORY/corpus for the next run.
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

SECONDS_PER_INPUT = 10
MEBIBYTES = 512


def main() -> None:
    """Make the seeds, then fuzz."""
    name, seconds, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    with atheris.instrument_imports(include=["everest_secure"]):
        from fuzz.target import targets

        target = targets()[name]
        from everest_secure.errors import ArtefactError
    corpus = directory / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    longest = 0
    with tempfile.TemporaryDirectory() as work:
        for number, seed in enumerate(target.seeds(Path(work))):
            target.run(seed)
            (corpus / f"seed-{number}").write_bytes(seed)
            longest = max(longest, len(seed))

    def once(data: bytes) -> None:
        with suppress(ArtefactError):
            target.run(data)

    options = {
        "max_total_time": seconds,
        "timeout": SECONDS_PER_INPUT,
        "rss_limit_mb": MEBIBYTES,
        "max_len": 2 * longest,
        "artifact_prefix": f"{directory}/",
        "print_final_stats": 1,
        "verbosity": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{option}={value}" for option, value in options.items()), str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
