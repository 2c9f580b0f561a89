"""Providers that the programs of a unit load by their configuration of OpenSSL 3 (config(5), "Provider Configuration")."""

from everest_secure.image.tree import Tree
from everest_secure.parse.environment import read_environment
from everest_secure.parse.openssl_cnf import openssl_config_of
from everest_secure.parse.units import Unit

DEFAULT = "/etc/ssl/openssl.cnf"
KEY_PROVIDERS = frozenset(["tpm2", "pkcs11"])
"""Providers whose keys lie in hardware: tpm2-openssl and pkcs11-provider."""


def providers_of(tree: Tree, unit: Unit) -> tuple[frozenset[str], str]:
    """Return the providers that a unit's programs load, and the path of the configuration, which `OPENSSL_CONF` names if it is not the usual one."""
    path = read_environment(tree, unit).get("OPENSSL_CONF", DEFAULT)
    if tree.resolve(path) is None:
        return frozenset(), path
    config = openssl_config_of(tree, path, unit)
    return frozenset(each.identity for each in config.providers() if each.active), path
