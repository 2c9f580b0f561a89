"""The broker of an exposed MQTT API: NET-02."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from everest_secure.checks.common import at, executes, services, started, units_of, words
from everest_secure.checks.core import Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.net import broker_config
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.errors import ArtefactError
from everest_secure.parse.mosquitto import BrokerConfig, Listener, is_true
from everest_secure.parse.patterns import matches
from everest_secure.parse.timespan import seconds
from everest_secure.parse.topics import parse_acl, passages, within
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

_FILES = {"cafile": ("cafile", "capath"), "certfile": ("certfile",), "keyfile": ("keyfile",)}
_OLD = ("tlsv1", "tlsv1.0", "tlsv1.1")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Broker:
    """A broker that others than EVerest are to reach."""

    root: Root
    unit: Unit
    path: str
    """Of its configuration; empty when the command line says all."""
    config: BrokerConfig

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """The listeners that the network can reach."""
        return tuple(listener for listener in self.config.listeners if not listener.socket_path)

    def place(self, listener: Listener) -> Location:
        """Return where a listener is configured."""
        return at(self.root, listener.path if self.path else self.unit.path, listener.line)

    def option(self, listener: Listener, name: str) -> str | None:
        """Return an option of a listener, or the broker's own where options are not kept apart by listener."""
        own = listener.option(name)
        return own if own is not None else next((each.value for each in reversed(self.config.general) if each.name == name), None)

    def file(self, path: str) -> str:
        """Return the file behind a path: a credential is the file that systemd loads it from (systemd.exec(5), `LoadCredential=`)."""
        directory = f"/run/credentials/{self.unit.name}/"
        if not path.startswith(directory):
            return path
        loaded = dict(word.partition(":")[::2] for word in self.unit.words("Service", "LoadCredential"))
        return loaded.get(path.removeprefix(directory), path)


def _brokers(root: Root, policy: Parameters) -> tuple[Broker, ...]:
    """Return the brokers of the API: those of the policy's units, and all that do not start by themselves, which NET-01 says nothing of.

    Raises NotApplicable when none is installed that the network can reach.
    """
    found = []
    for unit in services(root):
        if unit.name in started(root) and not matches(unit.name, policy.mqtt_api_units):
            continue
        for command in unit.commands:
            if executes(root, command, "mosquitto"):
                path, config = broker_config(root, command)
                found.append(Broker(root, unit, path, config))
    known = {broker.unit.name for broker in found}
    for unit in services(root):
        if matches(unit.name, policy.mqtt_api_units) and unit.name not in known:
            raise ArtefactError(
                f"{root.artefact.name}: {unit.name} is the MQTT API by the policy ('mqtt_api_units') and runs no mosquitto that could be judged; "
                "let the unit itself run it"
            )
    exposed = tuple(broker for broker in found if broker.listeners)
    if not exposed:
        raise NotApplicable("no broker besides EVerest's own is installed, so that there is no MQTT API for others")
    return exposed


@check("NET-02", on=Scope.ROOT)
def clients_of_the_mqtt_api_show_a_certificate(root: Root, policy: Parameters, note: Notes) -> None:
    """Each listener wants a certificate of the broker's authority over TLS 1.2 or later, and knows the client by it."""
    for broker in _brokers(root, policy):
        for path in (broker.path, *broker.config.includes) if broker.path else ():
            lies_on_the_root(root, path, note)
        for listener in broker.listeners:
            for what, remedy in _tls_faults(broker, listener):
                note.finding(f"{listener.describe()} of {broker.unit.name} {what}", at=broker.place(listener), remedy=remedy)
            note.saw(f"{broker.place(listener)}: {listener.describe()}")


def _tls_faults(broker: Broker, listener: Listener) -> Iterator[tuple[str, str]]:
    for name, alternatives in _FILES.items():
        if not any(listener.option(each) for each in alternatives):
            yield f"has no {name}, so that TLS is off or nobody is verified", f"Set {name} to the file from the certificate store."
    if not is_true(listener.option("require_certificate")):
        yield "does not require a certificate", "Set 'require_certificate true'."
    if not is_true(listener.option("use_identity_as_username")) and not is_true(listener.option("use_subject_as_username")):
        yield "does not know a client by its certificate", "Set 'use_identity_as_username true'."
    if listener.allow_anonymous:
        yield "lets anonymous clients in", "Set 'allow_anonymous false'."
    if (listener.option("tls_version") or "").lower() in _OLD:
        yield f"accepts {listener.option('tls_version')}", "Set 'tls_version tlsv1.2'."


@check("NET-02", on=Scope.ROOT)
def access_list_grants_topics_of_the_api_only(root: Root, policy: Parameters, note: Notes) -> None:
    """The broker has an access list, which grants nothing but what the policy lists, to read and to write."""
    for broker in _brokers(root, policy):
        paths = {broker.option(listener, "acl_file") for listener in broker.listeners}
        for listener in broker.listeners:
            if not broker.option(listener, "acl_file"):
                what = f"{listener.describe()} of {broker.unit.name} has no access list: every client reads and writes every topic"
                note.finding(what, at=broker.place(listener), remedy="Set acl_file to a list with a line per topic.")
        for setting in (each for each in broker.config.general if each.name in ("plugin", "auth_plugin")):
            what = f"{broker.unit.name} loads {setting.value}, which decides besides the access list"
            note.finding(what, at=at(root, setting.path, setting.line), remedy="Leave access to acl_file.")
        for path in sorted(broker.file(path) for path in paths if path):
            _judge_acl(root, path, policy, note)


def _judge_acl(root: Root, path: str, policy: Parameters, note: Notes) -> None:
    if not lies_on_the_root(root, path, note):
        return
    grants = parse_acl(root.tree.text(path), path)
    for grant in grants:
        wrong = [word for word, given, allowed in _rights(grant.read, grant.write, policy) if given and not within(grant.topic, allowed)]
        if wrong:
            who = {"*": "every client", "": "a client without a name"}.get(grant.user, f"'{grant.user}'")
            what = f"{who} may {' and '.join(wrong)} '{grant.topic}', which the policy does not list"
            note.finding(what, at=at(root, path, grant.line), remedy="Grant topics of mqtt_api_read and mqtt_api_write only.")
    note.saw(f"{path}: {len(grants)} topics granted")


def _rights(read: bool, write: bool, policy: Parameters) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
    return ("read", read, policy.mqtt_api_read), ("write", write, policy.mqtt_api_write)


@check("NET-02", on=Scope.ROOT)
def bridges_carry_topics_of_the_api_only(root: Root, policy: Parameters, note: Notes) -> None:
    """What passes between this broker and EVerest's is listed, direction by direction, and no bridge leads out of the device."""
    for broker in _brokers(root, policy):
        for bridge in broker.config.bridges:
            for option in bridge.options:
                if option.name in ("address", "addresses") and not all(_is_loopback(word) for word in option.value.split()):
                    what = f"the bridge '{bridge.name}' leads to {option.value}, out of the charger"
                    note.finding(what, at=at(root, option.path, option.line), remedy="Bridge to EVerest's broker only.")
            for topic in passages(bridge):
                wrong = [
                    word
                    for word, given, allowed in _rights(topic.inward, topic.outward, policy)
                    if given and not within(topic.topic, allowed)
                ]
                for word in wrong:
                    way = "out of" if word == "read" else "into"
                    what = f"the bridge '{bridge.name}' carries '{topic.topic}' {way} EVerest's broker, which the policy does not list"
                    note.finding(
                        what, at=at(root, topic.path, topic.line), remedy="Bridge topics of mqtt_api_read and mqtt_api_write only."
                    )
        note.saw(f"{broker.unit.name}: bridges {words(bridge.name for bridge in broker.config.bridges)}")


def _is_loopback(address: str) -> bool:
    host, colon, port = address.rpartition(":")
    return (host if colon and port.isdigit() else address).strip("[]") in _LOOPBACK


@check("NET-02", on=Scope.ROOT)
def mqtt_api_is_off_until_asked_for_and_ends_by_itself(root: Root, policy: Parameters, note: Notes) -> None:
    """Nothing starts the unit at boot, and starting it starts what stops it."""
    for broker in _brokers(root, policy):
        unit = broker.unit
        start = started(root).get(unit.name)
        if start is not None:
            note.finding(f"{unit.name} starts by itself: {start.reason}", at=at(root, start.path), remedy="Disable it.")
        minutes = _minutes(root, unit)
        if minutes is None:
            what = f"nothing switches {unit.name} off again"
            remedy = "Bind it to a timer of a unit that conflicts with it (BindsTo=), or set RuntimeMaxSec=."
            note.finding(what, at=at(root, unit.path), remedy=remedy)
        elif minutes > policy.mqtt_api_minutes:
            what = f"{unit.name} runs for {minutes:g} minutes, {policy.mqtt_api_minutes} are allowed"
            note.finding(what, at=at(root, unit.path), remedy="Set EVEREST_MQTT_API_MINUTES lower.")
        else:
            note.saw(f"{unit.path}: ends after {minutes:g} minutes")


def _minutes(root: Root, unit: Unit) -> float | None:
    """Return after how many minutes a unit is stopped: by itself, or by a timer that it is bound to; None when it is not."""
    ends = [seconds(unit.value("Service", "RuntimeMaxSec"))]
    units = units_of(root.tree)
    for name in (*unit.words("Unit", "BindsTo"), *unit.words("Unit", "Requires")):
        timer = units.unit(name)
        if not name.endswith(".timer") or not timer.exists:
            continue
        ended_by = units.unit(timer.value("Timer", "Unit", f"{name.removesuffix('.timer')}.service"))
        if ended_by.exists and unit.name in ended_by.words("Unit", "Conflicts"):
            ends.append(seconds(timer.value("Timer", "OnActiveSec")))
    found = [end for end in ends if end]
    return min(found) / 60 if found else None
