"""EVerest's certificate store: where EvseSecurity looks for authorities, chains and keys (its manifest; main/evse_securityImpl.cpp)."""

from dataclasses import dataclass

from everest_secure.parse.everest_config import EverestConfig

MODULE = "EvseSecurity"
STORE = "/etc/everest/certs"
"""What relative paths are below."""
_BUNDLES = {
    "csms_ca_bundle": "ca/csms/CSMS_ROOT_CA.pem",
    "mf_ca_bundle": "ca/mf/MF_ROOT_CA.pem",
    "mo_ca_bundle": "ca/mo/MO_ROOT_CA.pem",
    "v2g_ca_bundle": "ca/v2g/V2G_ROOT_CA.pem",
}
_LEAVES = {
    "csms_leaf_cert_directory": "client/csms",
    "csms_leaf_key_directory": "client/csms",
    "secc_leaf_cert_directory": "client/cso",
    "secc_leaf_key_directory": "client/cso",
}


@dataclass(frozen=True, slots=True)
class CertificateStore:
    """Absolute paths by the key of EvseSecurity's configuration."""

    bundles: dict[str, str]
    """Files of root authorities, or directories of such files."""
    leaves: dict[str, str]
    """Directories of chains and of keys."""

    @property
    def directories(self) -> tuple[str, ...]:
        """Return the directories that EVerest writes to, each once: those of bundles, which are files unless a path has no suffix, and of leaves."""
        of_bundles = (path.rpartition("/")[0] if "." in path.rpartition("/")[2] else path for path in self.bundles.values())
        return tuple(dict.fromkeys((*of_bundles, *self.leaves.values())))


def certificate_store(config: EverestConfig | None) -> CertificateStore:
    """Return the store of the configuration's first EvseSecurity module; EVerest's defaults where it sets nothing."""
    values = next((module.config for module in config.of_type(MODULE)), {}) if config else {}

    def paths(defaults: dict[str, str]) -> dict[str, str]:
        return {key: _absolute(str(values.get(key, default))) for key, default in defaults.items()}

    return CertificateStore(paths(_BUNDLES), paths(_LEAVES))


def _absolute(path: str) -> str:
    return path.rstrip("/") if path.startswith("/") else f"{STORE}/{path.rstrip('/')}"
