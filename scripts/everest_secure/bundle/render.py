"""Shows what is inside a bundle: a table for people, JSON for programs."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from everest_secure.bundle.inspect import BundleInfo
from everest_secure.text import printable


def show(found: BundleInfo, *, console: Console) -> None:
    """Write a table of the manifest and one of the images."""
    about = Table(box=None, pad_edge=False, show_header=False)
    about.add_column(style="bold")
    about.add_column(overflow="fold")
    rows = {
        "compatible": found.compatible,
        "version": found.version,
        "description": found.description,
        "build": found.build,
        "hooks": ", ".join(found.hooks),
        "signature": "verified" if found.verified else "not verified; give --keyring to verify it",
    }
    for name, value in rows.items():
        if value:
            about.add_row(name, Text(printable(value)))
    images = Table(box=None, pad_edge=False, header_style="bold")
    images.add_column("image")
    images.add_column("file")
    images.add_column("bytes", justify="right")
    images.add_column("sha256", overflow="fold")
    for image in found.images:
        images.add_row(Text(printable(image.slot_class)), Text(printable(image.name)), str(image.size), Text(printable(image.sha256)))
    console.print(about)
    console.print()
    console.print(images)


def to_json(found: BundleInfo) -> str:
    """Return the same as a JSON object; its keys are those of `BundleInfo`."""
    return json.dumps(asdict(found), indent=2)
