"""TLS: TLS-02."""

import re

from everest_secure.checks.common import SERVICE, at, present_service, service, words
from everest_secure.checks.core import Location, Notes, Root, Scope, check
from everest_secure.checks.deeds import said_by
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.parse.environment import environment_files, read_environment
from everest_secure.parse.openssl_cnf import Value, openssl_config_of
from everest_secure.policy.parameters import Parameters

POLICY = "/etc/everest/openssl.cnf"
_VERSIONS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CODE = ("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "OPENSSL_MODULES", "OPENSSL_ENGINES")
"""Variables that name code which the service's programs load (ld.so(8); openssl-env(7))."""
_AROUND = re.compile(r"\bOPENSSL_CONF\b|(?<![\w.-])env\s+(?:-\S+\s+)*(?:-\s|-i|--ignore-environment|-u|--unset)")
_OLD_SWITCHES = ("protocol",)
"""SSL_CONF_cmd(3): `Protocol` can turn versions on again that MinProtocol excludes."""


@check("TLS-02", on=Scope.ROOT)
def service_uses_the_openssl_policy(root: Root, policy: Parameters, note: Notes) -> None:
    """The service's environment names the file, and nothing in it goes around the file."""
    unit = present_service(root, note)
    if unit is None:
        return
    remedy = f"Set Environment=OPENSSL_CONF={POLICY} in the service's drop-in."
    for path in environment_files(root.tree, unit):
        lies_on_the_root(root, path, note)
    environment = read_environment(root.tree, unit)
    if "SSLKEYLOGFILE" in environment:
        what = f"{SERVICE} may write the keys of its TLS sessions to {environment['SSLKEYLOGFILE']}"
        note.finding(what, at=at(root, unit.path), remedy="Take SSLKEYLOGFILE out of the unit.")
    for name in (name for name in _CODE if name in environment):
        for path in (path for path in environment[name].replace(":", " ").split() if path.startswith("/")):
            lies_on_the_root(root, path, note)
    for text, path in said_by(root, unit):
        if _AROUND.search(text):
            what = f"a command of {SERVICE} changes the environment that names the OpenSSL policy"
            note.finding(
                what, at=at(root, path), remedy="Set the environment by the unit alone, and start the manager without env or shell."
            )
            break
    found = environment.get("OPENSSL_CONF", "")
    if found != POLICY:
        what = f"{SERVICE} uses the OpenSSL configuration {found}" if found else f"{SERVICE} does not name the OpenSSL policy"
        note.finding(what, at=at(root, unit.path), remedy=remedy)
    else:
        note.saw(f"{SERVICE}: OPENSSL_CONF={found}")


@check("TLS-02", on=Scope.ROOT)
def openssl_policy_allows_only_strong_tls(root: Root, policy: Parameters, note: Notes) -> None:
    """Minimum protocol and cipher lists of the file's system defaults."""
    if root.tree.resolve(POLICY) is None:
        note.finding(f"{POLICY} does not exist", at=at(root, POLICY), remedy="Install the package everest-openssl-policy.")
        return
    lies_on_the_root(root, POLICY, note)
    config = openssl_config_of(root.tree, POLICY, service(root))
    for path in config.includes:
        lies_on_the_root(root, path, note)
    commands = config.tls_defaults()
    if not commands:
        what = "the file sets no TLS defaults: openssl_conf, ssl_conf or system_default leads nowhere"
        note.finding(what, at=at(root, POLICY), remedy="Name a section with 'system_default' as in config(5).")
        return
    end = config.ends_before_tls()
    if end is not None:
        what = f"OpenSSL may end at '{end[0]} = {end[1].value[:64]}', and nothing of the TLS defaults counts then"
        note.finding(what, at=_place(root, end[1]), remedy="Put 'ssl_conf' in front of the other modules, and mend what it names.")
    lowest = commands.get("minprotocol")
    if lowest is None or lowest.value not in _VERSIONS[_VERSIONS.index(policy.tls_min_protocol) :]:
        what = f"TLS versions from {lowest.value if lowest else 'the oldest'} on are allowed"
        note.finding(what, at=_place(root, lowest), remedy=f"Set MinProtocol = {policy.tls_min_protocol}.")
    for name in _OLD_SWITCHES:
        if name in commands:
            what = f"'{name}' sets protocol versions besides MinProtocol"
            note.finding(what, at=_place(root, commands[name]), remedy="Use MinProtocol alone.")
    unsafe = (
        [word for word in commands["options"].value.split(",") if word.strip().removeprefix("+").lower().startswith("unsafe")]
        if "options" in commands
        else []
    )
    if unsafe:
        what = f"TLS is weakened by Options = {words(word.strip() for word in unsafe)}"
        note.finding(what, at=_place(root, commands["options"]), remedy="Take the option out.")
    _compare(root, note, commands.get("cipherstring"), policy.tls_ciphers, "CipherString")
    _compare(root, note, commands.get("ciphersuites"), policy.tls_ciphersuites, "Ciphersuites")
    for name in ("minprotocol", "cipherstring", "ciphersuites"):
        if name in commands:
            note.saw(f"{commands[name].path}:{commands[name].line}: {name} = {commands[name].value}")


def _compare(root: Root, note: Notes, found: Value | None, allowed: tuple[str, ...], name: str) -> None:
    """A list may hold fewer suites than the policy and `@SECLEVEL=n`; OpenSSL's words for groups of suites are not among them."""
    remedy = f"Set {name} = {':'.join(allowed)}."
    if found is None:
        note.finding(f"{name} is not set, so OpenSSL's own default counts", at=_place(root, None), remedy=remedy)
        return
    listed = [word for word in re.split("[:, ;]", found.value) if word]
    suites = [word for word in listed if not word.startswith("@SECLEVEL=")]
    extra = set(suites) - set(allowed)
    if extra or not suites:
        what = f"{name} allows {words(extra)}" if extra else f"{name} is empty"
        note.finding(what, at=_place(root, found), remedy=remedy)
    if any(word in ("@SECLEVEL=0", "@SECLEVEL=1") for word in listed):
        note.finding(f"{name} lowers the security level", at=_place(root, found), remedy="Leave @SECLEVEL at 2 or higher.")


def _place(root: Root, value: Value | None) -> Location:
    return at(root, value.path if value else POLICY, value.line if value else 0)
