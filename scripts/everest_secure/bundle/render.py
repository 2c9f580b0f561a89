"""Shows what is inside a bundle and how it was judged: tables for people, JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from everest_secure.bundle.inspect import BundleInfo, info_of
from everest_secure.bundle.judge import Judgement
from everest_secure.bundle.verdict import Reason
from everest_secure.text import printable


def show(found: BundleInfo, *, console: Console) -> None:
    """Write a table of the manifest and one of the images."""
    rows = {
        "compatible": found.compatible,
        "version": found.version,
        "description": found.description,
        "build": found.build,
        "format": found.format,
        "root hash": found.root_hash,
        "hooks": ", ".join(found.hooks),
        "signature": "verified" if found.verified else "not verified; 'everest-secure bundle verify' does that",
    }
    console.print(_pairs(rows))
    images = Table(box=None, pad_edge=False, header_style="bold")
    images.add_column("image")
    images.add_column("file")
    images.add_column("bytes", justify="right")
    images.add_column("sha256", overflow="fold")
    for image in found.images:
        images.add_row(Text(printable(image.slot_class)), Text(printable(image.name)), str(image.size), Text(printable(image.sha256)))
    console.print()
    console.print(images)


def show_judgement(judged: Judgement, *, console: Console) -> None:
    """Write what a bundle is, what each verifier says of it, and why."""
    if judged.accepted and judged.independent.manifest is not None:
        show(info_of(judged.independent.manifest, verified=True), console=console)
        console.print()
    rows = {"independent": "accepted" if judged.independent.accepted else "refused"}
    if judged.rauc is not None:
        rows["rauc"] = "accepted" if judged.rauc.accepted else "refused"
    console.print(_pairs(rows))
    for reason in judged.independent.reasons:
        console.print(Text(f"{reason.why}: {printable(str(reason))}"))
    if judged.rauc is not None and judged.rauc.refusal:
        console.print(Text(f"rauc says: {printable(judged.rauc.refusal)}"))


def _pairs(rows: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(printable(value)))
    return table


def to_json(found: BundleInfo) -> str:
    """Return the same as a JSON object; its keys are those of `BundleInfo`."""
    return json.dumps(asdict(found), indent=2)


def judgement_to_json(judged: Judgement) -> str:
    """Return a judgement as a JSON object: `accepted`, `difference`, the reasons of each verifier, and the `bundle` when it is accepted."""
    rauc, manifest = judged.rauc, judged.independent.manifest
    document = {
        "file": str(judged.bundle),
        "accepted": judged.accepted,
        "difference": judged.difference,
        "independent": {"accepted": judged.independent.accepted, "reasons": [_reason(each) for each in judged.independent.reasons]},
        "rauc": None
        if rauc is None
        else {
            "accepted": rauc.accepted,
            "said": rauc.refusal,
            "reasons": [_reason(each) for each in rauc.reasons],
            "payload": rauc.payload,
        },
        "bundle": asdict(info_of(manifest, verified=True)) if judged.accepted and manifest else None,
    }
    return json.dumps(document, indent=2)


def _reason(reason: Reason) -> Mapping[str, str]:
    return {"why": str(reason.why), "what": reason.what, "remedy": reason.remedy}
