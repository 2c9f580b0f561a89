"""The files of a development PKI, as the layer's recipes get them: by name, through the environment (kas/opt/development-keys.yml)."""

from collections.abc import Mapping

from everest_secure.pki.store import Store

SIGNER = "signer"
VARIABLES = ("EVEREST_RAUC_KEYRING", "EVEREST_BUNDLE_KEY", "EVEREST_BUNDLE_CERT", "EVEREST_BUNDLE_INTERMEDIATE")
"""Variables whose values are absolute paths of files."""


def variables(store: Store) -> Mapping[str, str]:
    """Return the variables that name the files of a PKI directory."""
    files = (store.keyring, store.key(SIGNER), store.certificate(SIGNER), store.chain(SIGNER))
    return {name: str(file.resolve()) for name, file in zip(VARIABLES, files, strict=True)}
