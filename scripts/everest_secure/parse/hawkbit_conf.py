"""The configuration of rauc-hawkbit-updater 1.3 and 1.4, a GLib key file, with its defaults (its docs/reference.rst; src/config-file.c)."""

from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.keyfile import KeyFile, parse_keyfile

CLIENT = "client"
_WORDS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class HawkbitConfig:
    """How the updater reaches its server and shows who it is."""

    path: str
    file: KeyFile
    server: str
    tls: bool
    """Whether it speaks HTTPS; by default it does."""
    verifies: bool
    """Whether it verifies the server's certificate; by default it does."""
    key: str
    """File or URI of the client's key; empty for none."""
    certificate: str
    engine: str
    """OpenSSL engine or provider of the key, such as `pkcs11`; empty for none."""
    tokens: tuple[str, ...]
    """Names of the tokens that are set."""

    def line(self, key: str) -> int:
        """Return the line of a key, 0 when it is not set."""
        entry = self.file.get(CLIENT, key)
        return entry.line if entry else 0


def parse_hawkbit_config(text: str, path: str) -> HawkbitConfig:
    """Parse a configuration. Raises ArtefactError where the updater would refuse it."""
    file = parse_keyfile(text, path)
    server = file.value(CLIENT, "hawkbit_server").strip()
    if not server:
        raise ArtefactError(f"{path} names no hawkbit_server, without which the updater does not start; set it in [client]")
    return HawkbitConfig(
        path=path,
        file=file,
        server=server,
        tls=_boolean(file, "ssl"),
        verifies=_boolean(file, "ssl_verify"),
        key=file.value(CLIENT, "ssl_key").strip(),
        certificate=file.value(CLIENT, "ssl_cert").strip(),
        engine=file.value(CLIENT, "ssl_engine").strip(),
        tokens=tuple(name for name in ("auth_token", "gateway_token") if file.value(CLIENT, name).strip()),
    )


def _boolean(file: KeyFile, key: str) -> bool:
    """Read a boolean that is true when it is not set (get_key_bool)."""
    entry = file.get(CLIENT, key)
    if entry is None:
        return True
    word = entry.value.strip().lower()
    if word not in _WORDS:
        raise ArtefactError(f"{file.where}:{entry.line} gives '{key}' a value that is neither true nor false; the updater refuses it")
    return _WORDS[word]
