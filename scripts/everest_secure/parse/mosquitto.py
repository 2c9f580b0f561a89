"""The broker's configuration with the defaults of mosquitto 2.0 (mosquitto.conf(5); src/conf.c, src/net.c)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from posixpath import join

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.mosquitto_options import (
    BOOLEANS,
    BRIDGE_OPTIONS,
    GENERAL_OPTIONS,
    LISTENER_OPTIONS,
    MAKE_DEFAULT_LISTENER,
    OPTIONS_OF_PLUGINS,
    SECURITY_OPTIONS,
)

MAX_FILES = 64
DEFAULT_PORT = 1883


@dataclass(frozen=True, slots=True)
class Setting:
    """One line: an option and the rest of the line."""

    name: str
    value: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener with the options that count for it."""

    port: int
    """0 for a unix socket."""
    address: str
    """Bind address or interface; empty for all interfaces; `localhost` for the implicit listener."""
    socket_path: str
    """Path of the unix socket, or empty."""
    allow_anonymous: bool
    options: tuple[Setting, ...]
    path: str
    line: int

    def option(self, name: str) -> str | None:
        """Return the value of an option of this listener; None when it is not set."""
        return next((setting.value for setting in reversed(self.options) if setting.name == name), None)

    def describe(self) -> str:
        """Say what it listens on."""
        return f"unix socket {self.socket_path}" if self.socket_path else f"TCP port {self.port} on {self.address or 'all interfaces'}"


@dataclass(frozen=True, slots=True)
class Bridge:
    """A `connection` with its options."""

    name: str
    options: tuple[Setting, ...]
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """What the broker does by its configuration."""

    listeners: tuple[Listener, ...]
    bridges: tuple[Bridge, ...]
    general: tuple[Setting, ...]
    """Options that belong to the broker as a whole."""
    includes: tuple[str, ...] = ()
    """Directories that are read, and the files in them."""


@dataclass
class _Draft:
    port: int
    address: str
    socket_path: str
    path: str
    line: int
    options: list[Setting] = field(default_factory=list)


@dataclass
class _Reader:
    include: Callable[[str], list[tuple[str, str]]]
    general: list[Setting] = field(default_factory=list)
    listeners: list[_Draft] = field(default_factory=list)
    default: _Draft | None = None
    unattached: list[Setting] = field(default_factory=list)
    """Listener options that come before any listener of their file: they are the default listener's."""
    bridges: list[tuple[Setting, list[Setting]]] = field(default_factory=list)
    listener: _Draft | None = None
    """The last one of the file that is read: each file begins anew (config__read_file_core, cur_listener and cur_bridge)."""
    bridge: list[Setting] | None = None
    depth: int = 0
    files: int = 0
    includes: list[str] = field(default_factory=list)

    def read(self, text: str, path: str) -> None:
        self.files += 1
        if self.files > MAX_FILES:
            raise ArtefactError(
                f"{path} is one of more than {MAX_FILES} files that a broker configuration includes; it is taken for a loop"
            )
        outer = self.listener, self.bridge
        self.listener, self.bridge = None, None
        self.depth += 1
        for number, raw in enumerate(text.split("\n"), start=1):
            if raw.startswith("#") or not raw.strip():
                continue
            name, _, value = raw.strip().partition(" ")
            setting = Setting(name, value.strip(), path, number)
            if "\t" in name or (name in BOOLEANS and setting.value not in ("true", "false", "1", "0")):
                raise ArtefactError(f"{path}:{number} is no option with a value that mosquitto knows; it refuses the whole file")
            self.setting(setting)
        self.depth -= 1
        self.listener, self.bridge = outer

    def setting(self, setting: Setting) -> None:
        match setting.name:
            case "include_dir":
                self._include(setting)
            case "listener":
                self.listener = _listener(setting)
                self.listeners.append(self.listener)
            case "port" | "bind_address":
                self._default(setting)
            case "connection":
                self.bridge = []
                self.bridges.append((setting, self.bridge))
            case name if name in BRIDGE_OPTIONS or name.startswith("bridge_"):
                if self.bridge is None:
                    raise ArtefactError(f"{setting.path}:{setting.line} sets '{name}' outside a connection; mosquitto refuses it")
                self.bridge.append(setting)
            case name if name in LISTENER_OPTIONS:
                self._listener_option(setting, makes=name in MAKE_DEFAULT_LISTENER and (name, setting.value) != ("protocol", "mqtt"))
            case name if name in SECURITY_OPTIONS and self._per_listener():
                self._listener_option(setting, makes=name != "allow_anonymous")
            case name if name in GENERAL_OPTIONS or name.startswith(OPTIONS_OF_PLUGINS):
                self.general.append(setting)
            case name:
                raise ArtefactError(
                    f"{setting.path}:{setting.line} sets '{name}', which mosquitto 2.0 does not know: it refuses the whole file; take the line out"
                )

    def _include(self, setting: Setting) -> None:
        if self.depth > 1:
            raise ArtefactError(
                f"{setting.path}:{setting.line} includes a directory from an included file, which mosquitto does not follow, as it may be a loop; "
                "include it in the main file"
            )
        self.includes.append(setting.value)
        for path, text in self.include(setting.value):
            self.includes.append(path)
            self.read(text, path)

    def _default(self, setting: Setting) -> None:
        self.default = self.default or _Draft(DEFAULT_PORT, "", "", setting.path, setting.line)
        if setting.name == "port":
            self.default.port = _port(setting)
        else:
            self.default.address = setting.value

    def _listener_option(self, setting: Setting, *, makes: bool) -> None:
        if self.listener is not None:
            self.listener.options.append(setting)
            return
        self.unattached.append(setting)
        if makes:
            self.default = self.default or _Draft(DEFAULT_PORT, "", "", setting.path, setting.line)

    def _per_listener(self) -> bool:
        return is_true(_last(self.general, "per_listener_settings"))

    def finish(self, path: str) -> BrokerConfig:
        drafts = list(self.listeners)
        if self.default:
            self.default.options += self.unattached
            drafts.insert(0, self.default)
        implicit = not drafts
        if implicit:
            drafts = [_Draft(DEFAULT_PORT, "localhost", "", path, 0, self.unattached)]
        listeners = tuple(
            Listener(d.port, d.address, d.socket_path, self._anonymous(d, implicit), tuple(d.options), d.path, d.line) for d in drafts
        )
        bridges = tuple(Bridge(s.value, tuple(options), s.path, s.line) for s, options in self.bridges)
        return BrokerConfig(listeners, bridges, tuple(self.general), tuple(self.includes))

    def _anonymous(self, draft: _Draft, implicit: bool) -> bool:
        """Anonymous clients are let in by default only while no listener is configured (config__check)."""
        said = _last(draft.options if self._per_listener() and not implicit else self.general, "allow_anonymous")
        return implicit if said is None else is_true(said)


def _last(settings: list[Setting], name: str) -> str | None:
    return next((setting.value for setting in reversed(settings) if setting.name == name), None)


def is_true(value: str | None) -> bool:
    """Whether a boolean option is set and true, in the one spelling that mosquitto takes."""
    return value in ("true", "1")


def _port(setting: Setting) -> int:
    word = setting.value.split(" ")[0]
    if not word.isascii() or not word.isdigit() or int(word) > 65535:
        raise ArtefactError(f"{setting.path}:{setting.line} names no port from 0 to 65535; mosquitto refuses it")
    return int(word)


def _listener(setting: Setting) -> _Draft:
    port = _port(setting)
    _, _, address = setting.value.partition(" ")
    address = address.strip()
    if port == 0 and not address:
        raise ArtefactError(f"{setting.path}:{setting.line} is a listener on port 0 without a socket path; mosquitto refuses it")
    return _Draft(port, "" if port == 0 else address, address if port == 0 else "", setting.path, setting.line)


def parse_broker_config(text: str, path: str, *, include: Callable[[str], list[tuple[str, str]]] = lambda _: []) -> BrokerConfig:
    """Parse a configuration; `include(directory)` gives path and text of its *.conf files in order. Raises ArtefactError as mosquitto would."""
    reader = _Reader(include)
    reader.read(text, path)
    return reader.finish(path)


def _order(name: str) -> list[tuple[str, str]]:
    """Return what file names are put in order by: letters, and only of the same letter the capital first (conf_includedir.c, scmp_p)."""
    return [(character.upper(), character) for character in name]


def read_broker_config(tree: Tree, *paths: str) -> BrokerConfig:
    """Read configurations, one after the other into one, with their include directories.

    Raises ArtefactError when a file or a directory is missing.
    """
    path = paths[-1]

    def include(directory: str) -> list[tuple[str, str]]:
        node = tree.resolve(directory)
        if node is None or not node.is_directory:
            raise ArtefactError(f"{path} includes the directory {directory}, which is missing; mosquitto does not start")
        files = sorted((child.name for child in tree.children(directory) if child.name.endswith(".conf")), key=_order)
        return [(join(directory, name), tree.text(join(directory, name))) for name in files]

    reader = _Reader(include)
    for each in paths:
        reader.read(tree.text(each), each)
    return reader.finish(path)
