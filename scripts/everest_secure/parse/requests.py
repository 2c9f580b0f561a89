"""Certificate signing requests (PKCS#10, RFC 2986), as chargers make them."""

from asn1crypto import csr, pem
from cryptography import x509

_ECDSA = ("sha256_ecdsa", "sha384_ecdsa", "sha512_ecdsa")


def load_request(content: bytes) -> x509.CertificateSigningRequest:
    """Return a request in PEM or DER; raises ValueError, or what else the library has for one that is damaged.

    tpm2-openssl before 1.3.1, which chargers with EVerest have, writes a NULL behind the identifier of ECDSA, where RFC 5758 (3.2) wants nothing.
    OpenSSL overlooks it and so is it here: the signature does not cover that field.
    """
    try:
        return (x509.load_der_x509_csr if content[:1] == b"\x30" else x509.load_pem_x509_csr)(content)
    except ValueError:
        return x509.load_der_x509_csr(_without_null(content))


def _without_null(content: bytes) -> bytes:
    """Return the request in DER without the NULL; raises ValueError when there is none."""
    der = pem.unarmor(content)[2] if pem.detect(content) else content
    request = csr.CertificationRequest.load(der, strict=True)
    algorithm = request["signature_algorithm"]
    if algorithm["algorithm"].native not in _ECDSA or algorithm["parameters"].dump() != b"\x05\x00":
        raise ValueError("no NULL behind the identifier of ECDSA")
    request["signature_algorithm"] = {"algorithm": algorithm["algorithm"].native}
    return bytes(request.dump())
