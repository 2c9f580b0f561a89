"""Signs a manifest as `rauc` does: a CMS SignedData in DER that holds it, its signer's certificate and the intermediates.

`rauc resign` of 1.8 makes the payload's hash tree anew and refuses the format crypt, and no version of it takes less than a copy of the whole bundle.
RAUC's way for keys outside of it is a signature made elsewhere (its `extract-signature` and `replace-signature`): that is this one.
"""

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from everest_secure.bundle.signing import Ready
from everest_secure.pki.keys import signature_hash

_OPTIONS = (pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities)
"""rauc signs with CMS_BINARY and CMS_NOSMIMECAP (src/signature.c)."""


def sign(manifest: bytes, signer: Ready) -> bytes:
    """Return the signature with the manifest in it; raises PkiError when the signer's token does not sign."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(manifest)
    builder = builder.add_signer(signer.certificate, signer.key, signature_hash(signer.key))
    for intermediate in signer.intermediates:
        builder = builder.add_certificate(intermediate)
    return builder.sign(Encoding.DER, _OPTIONS)
