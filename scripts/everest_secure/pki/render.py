"""Shows the status of a PKI as a tree, or as JSON."""

import json
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from everest_secure.pki import uri
from everest_secure.pki.status import CertificateStatus, PkiStatus
from everest_secure.text import printable


def show(status: PkiStatus, *, console: Console) -> None:
    """Write a table of certificates, indented below their issuers, and after it where keys on tokens are, warnings and problems."""
    lists = any(entry.revocation_list for entry in status.certificates)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("certificate", "subject", "for", "key", "private key", "expires", *(["revocation list"] if lists else [])):
        table.add_column(column, overflow="fold")
    depths: dict[str, int] = {}
    for entry in status.certificates:
        depths[entry.name] = depths.get(entry.issuer or "", -1) + 1
        row = [
            Text("  " * depths[entry.name] + printable(entry.name)),
            Text(printable(entry.subject) + (f" (also by {printable(entry.cross_issuer)})" if entry.cross_issuer else "")),
            "development" if entry.development else "release",
            entry.key,
            Text(printable(_place(entry))),
            _expiry(entry),
        ]
        table.add_row(*row, *([_list(entry)] if lists else []))
    console.print(table)
    for entry in status.certificates:
        if entry.key_uri:
            console.print(Text(f"key of {printable(entry.name)}: {printable(entry.key_uri)}"), soft_wrap=True)
    for kind, sentences, style in (("warning", status.warnings, "yellow"), ("problem", status.problems, "red")):
        for sentence in sentences:
            console.print(Text(f"{kind}: {printable(sentence)}", style=style), soft_wrap=True)


def _place(entry: CertificateStatus) -> str:
    label = uri.parse(entry.key_uri).token if entry.key_uri else None
    return f"{entry.key_place} '{label}'" if label else str(entry.key_place)


def _expiry(entry: CertificateStatus) -> Text:
    if entry.revoked:
        return Text("revoked", style="red")
    return Text(f"{entry.expires:%Y-%m-%d}" + (" soon" if entry.expires_soon else ""), style="yellow" if entry.expires_soon else "")


def _list(entry: CertificateStatus) -> str:
    found = entry.revocation_list
    if found is None:
        return ""
    until = f", until {found.next_update:%Y-%m-%d}" if found.next_update else ""
    return f"no. {found.number}: {found.revoked} revoked{until}"


def to_json(status: PkiStatus) -> str:
    """Return the whole status as JSON; times are ISO 8601 in UTC."""
    return json.dumps(asdict(status), default=_plain, indent=2)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
