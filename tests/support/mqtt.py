"""Certificates of an MQTT API: its CA, its server, and clients."""

import subprocess
from pathlib import Path

NEW = ("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_certificates(place: Path) -> None:
    """Make `ca` and `other-ca`; of `ca` are `server`, `operator`, `viewer` and one in which no name stands, `nameless`, and of the other `stranger`.

    Files are NAME.pem and NAME.key.
    """
    for ca in ("ca", "other-ca"):
        _openssl(place, *NEW, "-x509", "-days", "1", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    for name, ca in (("server", "ca"), ("operator", "ca"), ("viewer", "ca"), ("nameless", "ca"), ("stranger", "other-ca")):
        _openssl(place, *NEW, "-subj", "/O=Acme" if name == "nameless" else f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        _openssl(
            place, "x509", "-req", "-days", "1", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-out", f"{name}.pem"
        )


def _openssl(place: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=place, capture_output=True, check=True)
