"""Measures what is done to a bundle of 500 MB beside what it cannot be faster than; prints, asserts nothing. `PYTHONPATH=.:scripts:tests python bench/bundle.py DIRECTORY`.

Several pairs run one after the other: verification to `sha256sum`, signing again to `cp` (and to `cp` with what `sync` takes, since a release is on the disk
before it has its name), making to `rauc bundle`. Of each side the least and the median are printed, then the ratio of the least and the median of the pairs'
ratios. Last comes what reading the file once costs beside `cp`: no verification can be below that. The interpreter's start is included.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from everest_secure.bundle import rauc
from everest_secure.pki.keys import KeyType
from everest_secure.pki.store import Store
from support import pki as support

RUNS = 5
SIZE = 500_000_000
PROGRAM = (sys.executable, "-c", "import sys; from everest_secure.cli.main import main; sys.exit(main())", "bundle")


def seconds(*argv: str | Path) -> float:
    """Return how long a program takes."""
    started = time.monotonic()
    subprocess.run([str(each) for each in argv], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def memory(*argv: str | Path) -> float:
    """Return the most memory that a program has at once, in MiB (`RssAnon` and the files it maps, from wait4)."""
    process = subprocess.Popen([str(each) for each in argv], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


def signer(pki: Store) -> Sequence[str | Path]:
    """Return the options that name the signer of a PKI."""
    return "--key", pki.key("signer"), "--cert", pki.certificate("signer"), "--intermediate", pki.chain("signer")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Seconds of two programs that took turns."""

    ours: Sequence[float]
    floor: Sequence[float]

    def __str__(self) -> str:
        """Return a row of the table."""
        columns = [f"{min(each):6.2f} {statistics.median(each):6.2f}" for each in (self.ours, self.floor)]
        ratio = statistics.median(a / b for a, b in zip(self.ours, self.floor, strict=True))
        return f"{'   '.join(columns)}   {min(self.ours) / min(self.floor):5.2f} {ratio:5.2f}"


def pairs(ours: Callable[[Path], float], floor: Callable[[Path], float], work: Path) -> Pairs:
    """Let two programs take turns; each writes to the file that it is given, if any."""
    measured = []
    for _ in range(RUNS):
        measured.append((ours(work / "ours.raucb"), floor(work / "floor.raucb")))
        for made in ("ours.raucb", "floor.raucb"):
            (work / made).unlink(missing_ok=True)
        os.sync()
    first, second = zip(*measured, strict=True)
    return Pairs(first, second)


def synced_copy(source: Path, target: Path) -> float:
    """Return how long it takes until a copy is on the disk."""
    return seconds("cp", source, target) + seconds("sync", target)


def main() -> None:
    """Make a PKI and a bundle below the directory and print one table."""
    work = Path(sys.argv[1]).resolve() / "bundle"
    shutil.rmtree(work, ignore_errors=True)
    content = work / "content"
    content.mkdir(parents=True)
    pki = support.make(work / "pki", chosen=support.small(key=KeyType.ECDSA_P384))
    with (content / "rootfs.img").open("wb") as file:
        for _ in range(SIZE // 1_000_000):
            file.write(os.urandom(1_000_000))  # a compressed root file system looks the same to every program here
    (content / "manifest.raucm").write_text(
        "[update]\ncompatible=x\nversion=1.0.0\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    (work / "update.yml").write_text("compatible: x\nversion: 1.0.0\nimages:\n  rootfs: {file: content/rootfs.img}\n")
    (work / "rauc.conf").write_text(rauc.CONFIGURATION)
    bundle = work / "update.raucb"
    made = ["rauc", "--conf", work / "rauc.conf", *signer(pki), "bundle", "--signing-keyring", pki.keyring, content]
    keyring = ("--keyring", pki.keyring)
    seconds(*PROGRAM, "create", work / "update.yml", bundle, *keyring, *signer(pki))
    verify = (*PROGRAM, "verify", bundle, *keyring, "--independent-only")
    resign = ("--signing-keyring", pki.keyring, *keyring, *signer(pki))
    rows = {
        "verify / sha256sum": pairs(lambda _: seconds(*verify), lambda _: seconds("sha256sum", bundle), work),
        "resign / cp": pairs(lambda out: seconds(*PROGRAM, "resign", bundle, out, *resign), lambda out: seconds("cp", bundle, out), work),
        "resign / cp and sync": pairs(
            lambda out: seconds(*PROGRAM, "resign", bundle, out, *resign), lambda out: synced_copy(bundle, out), work
        ),
        "create / rauc bundle": pairs(
            lambda out: seconds(*PROGRAM, "create", work / "update.yml", out, *keyring, *signer(pki)), lambda out: seconds(*made, out), work
        ),
        "sha256sum / cp": pairs(lambda _: seconds("sha256sum", bundle), lambda out: seconds("cp", bundle, out), work),
        "openssl sha256 / cp": pairs(lambda _: seconds("openssl", "dgst", "-sha256", bundle), lambda out: seconds("cp", bundle, out), work),
    }
    print(f"{'':22} {'ours, seconds':>13}   {'floor':>13}   {'ratio':>11}")
    print(f"{'':22} {'least median':>13}   {'least median':>13}   {'least median':>11}")
    for name, row in rows.items():
        print(f"{name:22} {row}")
    print(f"memory of verify       {memory(*verify):.0f} MiB")


if __name__ == "__main__":
    main()
