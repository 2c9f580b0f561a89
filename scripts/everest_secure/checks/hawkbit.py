"""A back end for updates besides OCPP: NET-09."""

import re
from posixpath import normpath

from everest_secure.checks.common import at, executes, options, services
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.steady import hidden_by, lies_on_the_root
from everest_secure.image.tree import Tree
from everest_secure.parse.hawkbit_conf import HawkbitConfig, parse_hawkbit_config
from everest_secure.parse.openssl_providers import KEY_PROVIDERS, providers_of
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

PROGRAM = "rauc-hawkbit-updater"
DEFAULT = "/etc/rauc-hawkbit-updater/config.conf"
MACHINES = "/etc/ssl/certs"
"""Where its libcurl looks for authorities: OE-Core's in `ca-certificates.crt`, Debian's in each file. No setting of the updater names another place."""
_CLUSTER = re.compile(r"-[abd-z]+c(?P<file>.*)")
_ROOTS = ("/usr/bin/rauc-hawkbit-updater", DEFAULT)


@check("NET-09", on=Scope.ROOT)
def updater_and_server_know_each_other_by_tls_with_a_key_in_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """The configuration that each unit of the updater names; where the unit writes it at its start, the file that it is made from."""
    runs = [(unit, command) for unit in services(root) for command in unit.commands if executes(root, command, PROGRAM)]
    if not runs:
        if any(root.tree.resolve(path) for path in _ROOTS):
            what = "the hawkBit updater is installed, and no unit shows how it is run"
            note.finding(what, at=at(root), remedy="Install its unit, or leave the package out of the image.")
            return
        raise NotApplicable("no client of another back end is installed: there is no hawkBit updater")
    for unit, command in runs:
        named = (options(_unclustered(command), "-c", "--config-file") or (DEFAULT,))[-1]
        path = named if not hidden_by(root, named) else _template(root.tree, unit, named)
        if not path or root.tree.resolve(path) is None:
            what = f"{unit.name} reads {named}, and nothing in the image shows what will be in it"
            note.finding(what, at=at(root, unit.path), remedy="Install everest-hawkbit, whose configuration lies in the image.")
            continue
        lies_on_the_root(root, path, note)
        _judge(root, unit, parse_hawkbit_config(root.tree.text(path), path), note)
        _judge_authorities(root, unit, note)


def _unclustered(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command whose options of one letter stand alone: `-sc FILE` is `-s -c FILE` (GOption)."""
    found = (_CLUSTER.fullmatch(word) for word in command)
    return tuple(f"-c{cluster['file']}" if cluster else word for word, cluster in zip(command, found, strict=True))


def _template(tree: Tree, unit: Unit, made: str) -> str:
    """Return the file of the same name that the command which writes `made` reads; empty when there is none."""
    name = made.rsplit("/", 1)[-1]
    sources = (word for command in unit.commands if made in command for word in command if word != made and word.endswith(f"/{name}"))
    return next((word for word in sources if tree.resolve(word)), "")


def _judge_authorities(root: Root, unit: Unit, note: Notes) -> None:
    """Whom the updater believes: the authorities that its unit shows it in place of the machine's (systemd.exec(5), BindReadOnlyPaths=)."""
    shown = MACHINES
    for key in ("TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths"):
        for source, target in unit.shown(key):
            directory = target.rstrip("/")
            if f"{MACHINES}/".startswith(f"{directory}/"):
                shown = source and normpath(f"{source}/{MACHINES.removeprefix(directory)}")
    if shown == MACHINES and root.tree.children(MACHINES):
        what = f"the hawkBit updater trusts every authority of the machine, those in {MACHINES}: any of them can vouch for another server"
        remedy = f"Show its unit the server's authority alone: BindReadOnlyPaths=DIRECTORY:{MACHINES}."
        note.finding(what, at=at(root, unit.path), remedy=remedy)
    elif shown:
        lies_on_the_root(root, shown, note)


def _judge(root: Root, unit: Unit, config: HawkbitConfig, note: Notes) -> None:
    def finding(what: str, key: str, remedy: str) -> None:
        note.finding(f"the hawkBit updater {what}", at=at(root, config.path, config.line(key)), remedy=remedy)

    if not config.tls:
        finding("speaks plain HTTP", "ssl", "Set ssl = true.")
    if not config.verifies:
        finding("does not verify the server", "ssl_verify", "Set ssl_verify = true.")
    for token in config.tokens:
        finding(f"shows a token ({token}), which whoever reads the image can show too", token, f"Remove {token}; use a client certificate.")
    if not config.key or not config.certificate:
        finding("has no client certificate: both ssl_key and ssl_cert are needed", "ssl_key", "Set ssl_key and ssl_cert.")
        return
    providers, conf = providers_of(root.tree, unit)
    known = providers & KEY_PROVIDERS
    if not known and config.engine not in KEY_PROVIDERS:
        what = f"uses the key {config.key}, which no provider of {conf} or engine keeps in the TPM"
        finding(what, "ssl_key", "Set OPENSSL_CONF of the unit to a file that activates the provider tpm2.")
    note.saw(f"{config.path}: {config.server}, key {config.key} by {', '.join(sorted(known)) or config.engine or 'no provider'}")
