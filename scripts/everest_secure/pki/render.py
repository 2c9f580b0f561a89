"""Prints the status of a PKI as a tree."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from everest_secure.pki.status import CertificateStatus, PkiStatus
from everest_secure.text import printable


def show(status: PkiStatus, *, console: Console) -> None:
    """Write a table of certificates, indented below their issuers, and the problems after it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("certificate", "subject", "for", "key", "private key", "expires"):
        table.add_column(column, overflow="fold")
    depths: dict[str, int] = {}
    for entry in status.certificates:
        depths[entry.name] = depths.get(entry.issuer or "", -1) + 1
        table.add_row(
            Text("  " * depths[entry.name] + printable(entry.name)),
            Text(printable(entry.subject)),
            "development" if entry.development else "release",
            entry.key,
            str(entry.key_place),
            _expiry(entry),
        )
    console.print(table)
    for problem in status.problems:
        console.print(Text(f"problem: {printable(problem)}", style="red"), soft_wrap=True)


def _expiry(entry: CertificateStatus) -> Text:
    return Text(f"{entry.expires:%Y-%m-%d}" + (" soon" if entry.expires_soon else ""), style="yellow" if entry.expires_soon else "")
