"""Providers that a program of OpenSSL 3 loads by its configuration (config(5), "Provider Configuration"; crypto/provider_conf.c)."""

from everest_secure.image.tree import Tree
from everest_secure.parse.environment import read_environment
from everest_secure.parse.openssl_cnf import OpensslConfig, read_openssl_config
from everest_secure.parse.units import Unit

DEFAULT = "/etc/ssl/openssl.cnf"
KEY_PROVIDERS = frozenset(["tpm2", "pkcs11"])
"""Providers whose keys lie in hardware: tpm2-openssl and pkcs11-provider."""
_TRUE = ("1", "yes", "true", "on")


def active_providers(config: OpensslConfig) -> frozenset[str]:
    """Return the names of the providers that are activated, by `identity` where a section has one; before OpenSSL 3.2 any value did."""
    init = config.sections.get("default", {}).get("openssl_conf")
    named = config.sections.get(init.value, {}).get("providers") if init else None
    found = set()
    for name, section in (config.sections.get(named.value, {}) if named else {}).items():
        values = config.sections.get(section.value, {})
        activate, identity = values.get("activate"), values.get("identity")
        if activate is not None and activate.value.lower() in _TRUE:
            found.add(identity.value if identity else name.rpartition(".")[2])
    return frozenset(found)


def providers_of(tree: Tree, unit: Unit) -> tuple[frozenset[str], str]:
    """Return the providers that a unit's programs load, and the path of the configuration, which `OPENSSL_CONF` names if it is not the usual one."""
    environment = read_environment(tree, unit)
    path = environment.get("OPENSSL_CONF", DEFAULT)
    if tree.resolve(path) is None:
        return frozenset(), path
    return active_providers(read_openssl_config(tree, path, environment=environment)), path
