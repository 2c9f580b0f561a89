"""A charger with certificates for tests of everest-cert: those of the table of vectors, with keys in a TPM in software."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from support.layer import Bench
from support.provisioning import Charger, charger
from support.tpm import SoftwareTpm, software_tpm
from support.vectors import Contents, Vector, Workshop

STORE: Mapping[str, Contents] = {
    "client/csms/CSMS_LEAF.pem": {"certificates": ["charger", "csms-sub2", "csms-sub1"]},
    "client/csms/CSMS_LEAF.tkey": {"key": "charger"},
    "client/cso/SECC_LEAF.pem": {"certificates": ["secc", "sub2", "sub1"]},
    "client/cso/SECC_LEAF.tkey": {"key": "secc"},
}
"""What a charger's store has besides its roots."""


@dataclass(frozen=True)
class Certified:
    """A charger, its TPM, and a workshop that makes certificates for keys of this TPM."""

    box: Charger
    tpm: SoftwareTpm
    workshop: Workshop

    def with_store(self, more: Mapping[str, Contents] | None = None, *, bare: bool = False) -> "Certified":
        """Return the charger with a new store: that of STORE, or without its leaves, and more files in the words of the table."""
        contents = {**({} if bare else STORE), **(more or {})}
        wanted = Vector(name="store", do="check", verdict="accepted", requirement="CERT-08", store=contents)
        made = self.workshop.lay_out(wanted)
        made.store.parent.chmod(0o755)
        return Certified(self.box.with_store(made.store), self.tpm, self.workshop)

    def offer(self, *certificates: str) -> Path:
        """Write a file of certificates."""
        file = self.box.store.parent / f"{'-'.join(certificates)}.pem"
        file.write_bytes(self.workshop.chain(*certificates))
        return file

    @property
    def files(self) -> dict[str, bytes]:
        """All files of the store with what they hold."""
        return dict(self.box.files())

    def serial(self, name: str) -> str:
        """The serial number of a certificate as OpenSSL writes it."""
        return f"{self.workshop.certificate(name).serial_number:X}"

    def digest(self, name: str) -> str:
        """The SHA-256 of a certificate in hexadecimal."""
        return self.workshop.certificate(name).fingerprint(SHA256()).hex()

    def twin(self, name: str, *, serial: int | None = None) -> bytes:
        """Another certificate for the same key and name, in PEM, of an authority that nobody knows."""
        model = self.workshop.certificate(name)
        builder = x509.CertificateBuilder(model.issuer, model.subject, model.public_key())
        builder = builder.serial_number(x509.random_serial_number() if serial is None else serial)
        builder = builder.not_valid_before(model.not_valid_before_utc).not_valid_after(model.not_valid_after_utc)
        return builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def certified(layer: Bench, shell: tuple[str, ...]) -> Iterator[Certified]:
    """Yield a charger whose programs run in a shell."""
    with charger(layer, shell, "everest-cert") as box, software_tpm(box.place) as tpm:

        def make(file: Path) -> None:
            tpm.make_key(file, "EC", "-pkeyopt", "group:P-256")
            provider = ("-provider", "tpm2", "-provider", "base")
            assert tpm.run("openssl", "pkey", *provider, "-in", file, "-pubout", "-out", f"{file}.pub").returncode == 0

        yield Certified(box, tpm, Workshop(box.place / "vectors", make))
