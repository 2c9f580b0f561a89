"""libevse-security's own class EvseSecurity on a charger's certificate store: a program that asks it what a CSMS asks."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from everest_secure.parse.requests import load_request
from support.authority import Pair, issue
from support.everest_charger import Charger
from support.everest_code import TPM, compile_part, compile_with
from support.everest_logs import DATE, HERE, write
from support.upstream_code import excerpt

SECURITY = "lib/everest/evse_security"
MODULE = "EvseSecurity"
STORE = "/var/lib/everest/certs"
SECONDS = 60.0
"""How long the program may take to end."""
OTHER_LIMITS = {
    "EVEREST_CERT_STORE_ENTRIES": "20",
    "EVEREST_CERT_STORE_MIB": "1",
    "EVEREST_CERT_STORE_KEEP": "2",
    "EVEREST_CSR_EXPIRY_MINUTES": "5",
    "EVEREST_CERT_GC_MINUTES": "10",
}
"""Those of a product, in the place of the layer's."""
ROOT = issue("root", authority=True)
ABOVE = issue("sub", authority=True, by=ROOT)
"""What issues leaves, below the root."""


def contents(machine: Charger) -> dict[str, bytes]:
    """Return what the files of the store hold, by their paths below it."""
    place = machine.place / STORE[1:]
    return {str(path.relative_to(place)): path.read_bytes() for path in machine.files(STORE)}


def store_programs(place: Path, everest: Path, *trees: Path) -> list[Path]:
    """Compile the program that evse_store.cpp describes, once for each tree with EVerest's code: as it is upstream, or as it is built.

    What of the code is the same everywhere is compiled once.
    """
    implementation = everest / "modules/EVSE/EvseSecurity/main/evse_securityImpl.cpp"
    write(place, {"init.inc": excerpt(implementation, "void evse_securityImpl::init() {", "}")})
    include = [f"-I{everest}/{SECURITY}/3rd_party", f"-I{everest}/lib/everest/timer/include", *TPM, *DATE[:-1]]
    main = compile_with(place, (HERE / "evse_store.cpp").read_text(), "-c", f"-I{everest}/{SECURITY}/include", *include)
    made: dict[tuple[str, str], Path] = {}
    programs = []
    for number, tree in enumerate(trees):
        code = tree / SECURITY / "lib/evse_security"
        headers = tree / SECURITY / "include"
        limits = (headers / "evse_security/evse_security.hpp").read_text()
        parts = [main]
        for source in sorted(code.rglob("*.cpp")):
            key = (source.name, source.read_text() + (limits if source.name == "evse_security.cpp" else ""))
            if key not in made:
                made[key] = compile_part(place / f"{source.stem}-{number}.o", place, "-c", f"-I{headers}", *include, source)
            parts.append(made[key])
        programs.append(compile_part(place / f"store-{number}", place, *parts, "-lssl", "-lcrypto", "-lpthread", *DATE))
    return programs


@dataclass(frozen=True)
class EvseStore:
    """A running EvseSecurity."""

    process: subprocess.Popen[str]
    log: Path
    """What it has said besides its answers."""

    def ask(self, do: str, **more: Any) -> Any:
        """Ask for one thing and return the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()
        return json.loads(answer)


@dataclass(frozen=True)
class Conditions:
    """What is peculiar about where EvseSecurity runs."""

    options: Sequence[str | Path] = ()
    """More of bwrap's."""
    begin: str = ""
    """What a shell does before the program, as its user."""
    environment: Mapping[str, str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the module, over those of the configuration."""


@contextmanager
def evse_store(machine: Charger, program: Path, where: Conditions = Conditions()) -> Iterator[EvseStore]:
    """Run EvseSecurity as the charger's module, with what its configuration says; it has to end well."""
    configured = json.dumps({**machine.configured(MODULE), **where.settings})
    command = machine.command(program, configured, options=where.options, begin=where.begin)
    log = machine.place / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=where.environment, text=True
        ) as process,
    ):
        try:
            yield EvseStore(process, log)
            process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()


def install_root(store: EvseStore, kind: str, root: Pair = ROOT) -> None:
    """Let the CSMS install a root of a kind."""
    assert store.ask("InstallCertificate", type=kind, certificate=root.pem) == "Accepted"


def install_leaf(store: EvseStore, kind: str, *, tpm: bool = False) -> x509.Certificate:
    """Let the CSMS install the root, and a leaf with its chain for a new key."""
    install_root(store, kind)
    leaf = certified(store.ask("SignCertificate", type=kind, tpm=tpm))
    assert store.ask("CertificateSigned", type=kind, certificate=pem(leaf, ABOVE.certificate)) == "Accepted"
    return leaf


def certificate_hash(certificate: x509.Certificate, issuer: x509.Certificate) -> dict[str, str]:
    """Return what OCPP calls CertificateHashData: hashes of the issuer's name and of its key without the key's type, and the serial number."""
    key = issuer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": sha256(issuer.subject.public_bytes()).hexdigest(),
        "issuerKeyHash": sha256(key).hexdigest(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def certified(request: str, *, by: Pair = ABOVE, age: int = 1, days: int = 365) -> x509.Certificate:
    """Issue the certificate that a request asks for; `days` from `age` days ago."""
    wanted = load_request(request.encode())
    assert wanted.is_signature_valid
    start = datetime.now(UTC) - timedelta(days=age)
    builder = x509.CertificateBuilder(by.certificate.subject, wanted.subject, wanted.public_key(), x509.random_serial_number())
    for each in wanted.extensions:
        builder = builder.add_extension(each.value, each.critical)
    return builder.not_valid_before(start).not_valid_after(start + timedelta(days=days)).sign(by.key, SHA256())


def pem(*certificates: x509.Certificate) -> str:
    """Return certificates in PEM, in order."""
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)
