"""OpenSSL configuration files, read as OpenSSL 3 reads them (config(5); crypto/conf/conf_def.c, conf_ssl.c)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from posixpath import join

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.environment import read_environment
from everest_secure.parse.units import Unit

MAX_INCLUDES = 64
MAX_VALUE = 65536
"""OpenSSL refuses values that expansion makes longer (MAX_CONF_VALUE_LENGTH)."""
_NAME = re.compile(r"[A-Za-z0-9_.;!%^&*|~?/+\-@ ]*")
_VARIABLE = re.compile(r"(?:(\w+)::)?(\w+)", re.ASCII)
_CLOSING = {"{": "}", "(": ")"}
_MODULES = ("alg_section", "oid_section", "providers", "random", "ssl_conf", "stbl_section")
"""Modules that every OpenSSL 3 has, and that load nothing without which they fail, as `engines` do."""
_QUERIES = ("default_properties", "fips_mode")
"""All that a section of algorithms may hold (evp_cnf.c)."""
_VERSIONS = ("minprotocol", "maxprotocol")
_ON = ("1", "yes", "true", "on")


@dataclass(frozen=True, slots=True)
class Value:
    """A value after expansion, and where it was set."""

    value: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class OpensslConfig:
    """Sections with their values; the part before the first header is `default`."""

    sections: Mapping[str, Mapping[str, Value]]
    includes: tuple[str, ...] = ()
    """Files and directories that `.include` names, whether they are there or not: OpenSSL passes over one that is missing."""

    def get(self, section: str, name: str) -> Value | None:
        """Return a value, falling back to the default section as NCONF_get_string() does."""
        return self.sections.get(section, {}).get(name) or self.sections.get("default", {}).get(name)

    def tls_defaults(self) -> Mapping[str, Value]:
        """Return the commands that every TLS context of a program starts with, by lower-case name.

        `openssl_conf` names the section whose `ssl_conf` names the section whose `system_default` names the section of SSL_CONF_cmd(3)
        commands. A module's name ends at its last dot, and of several `ssl_conf` the last replaces the others (conf_mod.c, module_find();
        conf_ssl.c, ssl_module_init()); of a command the prefix up to the first dot is dropped. What several `Options` say adds up, and of
        bounds TLS passes over those of DTLS (ssl_conf.c, min_max_proto()). Empty when a link of that chain is missing.
        """
        named = self._module("ssl_conf")
        ssl = named[-1] if named else None
        default = self.sections.get(ssl.value, {}).get("system_default") if ssl else None
        found: dict[str, Value] = {}
        for full, value in (self.sections.get(default.value, {}) if default else {}).items():
            name = (full.partition(".")[2] if "." in full else full).lower()
            if name == "options" and name in found:
                found[name] = replace(value, value=f"{found[name].value},{value.value}")
            elif name not in _VERSIONS or not value.value.startswith("DTLS"):
                found[name] = value
        return found

    def ends_before_tls(self) -> tuple[str, Value] | None:
        """Return the module at which OpenSSL may end, so that it never comes to the TLS defaults, or loses them; None when there is none.

        It goes through the modules in their order and ends, without a word, at the first that fails (conf_mod.c, CONF_modules_load()).
        """
        modules = list(self._modules.items())
        last = max((number for number, (name, _) in enumerate(modules) if _module_name(name) == "ssl_conf"), default=-1)
        return next(((name, value) for name, value in modules[: last + 1] if self._may_fail(_module_name(name), value.value)), None)

    def _may_fail(self, module: str, section: str) -> bool:
        entries = self.sections.get(section)
        if entries is None or module not in _MODULES:
            return True
        if module == "ssl_conf":
            return not entries or not all(self.sections.get(each.value) for each in entries.values())
        if module == "providers":
            return any(each.value not in self.sections for each in entries.values())
        return module == "alg_section" and not entries.keys() <= set(_QUERIES)

    def providers(self) -> tuple["Provider", ...]:
        """Return the providers of the sections that `providers` names (provider_conf_load() in crypto/provider_conf.c)."""
        named = [(name, value) for section in self._module("providers") for name, value in self.sections.get(section.value, {}).items()]
        return tuple(self._provider(name, self.sections.get(value.value, {})) for name, value in named)

    def _provider(self, name: str, section: Mapping[str, Value]) -> "Provider":
        """Return a provider: its identity is the name in the list from behind the first dot, unless the section has another."""
        identity, activate = section.get("identity"), section.get("activate")
        return Provider(identity.value if identity else name.partition(".")[2] or name, activate.value if activate else None)

    def default_properties(self) -> Value | None:
        """Return the property query that is added to every fetch of an algorithm (evp_cnf.c, alg_module_init())."""
        found = [self.sections.get(section.value, {}).get("default_properties") for section in self._module("alg_section")]
        return next((value for value in reversed(found) if value), None)

    def _module(self, module: str) -> list[Value]:
        """Return the sections that are given to a module of OpenSSL's; a module's name ends at its last dot (conf_mod.c, module_find())."""
        return [value for name, value in self._modules.items() if _module_name(name) == module]

    @property
    def _modules(self) -> Mapping[str, Value]:
        init = self.sections.get("default", {}).get("openssl_conf")
        return self.sections.get(init.value, {}) if init else {}


def _module_name(name: str) -> str:
    return name.rpartition(".")[0] or name


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that a configuration names."""

    identity: str
    activate: str | None
    """What its line `activate` says; None when it has none."""

    @property
    def active(self) -> bool:
        """Whether every program loads it at once, with any OpenSSL."""
        return self.activate is not None and self.activate.lower() in _ON

    @property
    def may_be_active(self) -> bool:
        """Whether programs load it with some OpenSSL: older ones take the line whatever it says."""
        return self.activate is not None


Include = Callable[[str], list[tuple[str, str]]]
"""Gives path and text of the files that the path of an `.include` stands for."""


@dataclass
class _Reader:
    include: Include
    environment: Mapping[str, str]
    directory: str
    """Where the program runs: relative paths are below it, if neither environment nor a pragma names another directory."""
    pragmas: dict[str, str] = field(default_factory=dict)
    sections: dict[str, dict[str, Value]] = field(default_factory=lambda: {"default": {}})
    section: str = "default"
    includes: list[str] = field(default_factory=list)

    def read(self, text: str, path: str) -> None:
        for number, line in _logical_lines(text):
            if line.startswith("["):
                self._header(line, path, number)
            elif line.startswith(".include"):
                self._include(line.removeprefix(".include"), path, number)
            elif line.startswith(".pragma"):
                name, _, value = line.removeprefix(".pragma").strip().removeprefix("=").partition(":")
                self.pragmas[name.strip()] = value.strip()
            else:
                self._assign(line, path, number)

    def _header(self, line: str, path: str, number: int) -> None:
        name, bracket, _ = line[1:].partition("]")
        if not bracket:
            raise ArtefactError(f"{path}:{number} has a section header without ']'; mend the file")
        self.section = name.strip()
        self.sections.setdefault(self.section, {})

    def _include(self, argument: str, path: str, number: int) -> None:
        if len(self.includes) == MAX_INCLUDES:
            raise ArtefactError(f"{path}:{number} includes more than {MAX_INCLUDES} files; it is taken for a loop")
        argument = self._expand(argument.strip().removeprefix("=").strip(), path, number)
        named = self.environment.get("OPENSSL_CONF_INCLUDE") or self.pragmas.get("includedir", "")
        if not join(named, argument).startswith("/") and self.pragmas.get("abspath", "").lower() in _ON:
            raise ArtefactError(
                f"{path}:{number} includes a relative path, which '.pragma abspath' forbids; OpenSSL refuses the whole file"
            )
        self.includes.append(join(self.directory, named, argument))
        for name, text in self.include(self.includes[-1]):
            self.read(text, name)

    def _assign(self, line: str, path: str, number: int) -> None:
        name, equals, value = line.partition("=")
        section, separator, short = name.strip().partition("::")
        if not separator:
            section, short = self.section, section
        if not equals or not short or not _NAME.fullmatch(short):
            raise ArtefactError(f"{path}:{number} is no assignment that OpenSSL reads; mend the file")
        values = self.sections.setdefault(section.strip(), {})
        values.pop(short.strip(), None)
        values[short.strip()] = Value(self._expand(value.strip(), path, number), path, number)

    def _expand(self, text: str, path: str, number: int) -> str:
        """Undo quotes and escapes and put in variables (str_copy of conf_def.c)."""
        found, at = "", 0
        while at < len(text):
            character = text[at]
            at += 1
            if character in "'\"":
                end = text.find(character, at)
                end = len(text) if end < 0 else end
                found += re.sub(r"\\(.)", r"\1", text[at:end])
                at = end + 1
            elif character == "\\" and at < len(text):
                found += {"n": "\n", "r": "\r", "b": "\b", "t": "\t"}.get(text[at], text[at])
                at += 1
            elif character == "$":
                value, at = self._variable(text, at, path, number)
                found += value
            else:
                found += character
            if len(found) > MAX_VALUE:
                raise ArtefactError(f"{path}:{number} expands to more than {MAX_VALUE} characters; OpenSSL refuses it")
        return found

    def _variable(self, text: str, at: int, path: str, number: int) -> tuple[str, int]:
        closing = _CLOSING.get(text[at : at + 1], "")
        reference = _VARIABLE.match(text, at + len(closing))
        end = reference.end() if reference else at
        if not reference or (closing and text[end : end + 1] != closing):
            raise ArtefactError(f"{path}:{number} has a '$' that names no variable; mend the file")
        section, name = reference[1], reference[2]
        if section == "ENV":
            value = self.environment.get(name)
        else:
            known = self.sections.get(section or self.section, {}).get(name) or self.sections["default"].get(name)
            value = known.value if known else None
        if value is None:
            raise ArtefactError(f"{path}:{number} uses the variable '{name}', which is not set; OpenSSL refuses the whole file")
        return value, end + len(closing)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, continued ones joined; the number is that of the first."""
    found: list[tuple[int, str]] = []
    held, start = "", 0
    for number, raw in enumerate((line.rstrip("\r") for line in text.split("\n")), start=1):
        start = start or number
        backslashes = len(raw) - len(raw.rstrip("\\"))
        if backslashes % 2:
            held += raw[:-1]
            continue
        line = _without_comment(held + raw).strip()
        if line:
            found.append((start, line))
        held, start = "", 0
    if held:
        found.append((start, _without_comment(held).strip()))
    return found


def _without_comment(line: str) -> str:
    quote, skip = "", False
    for at, character in enumerate(line):
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            return line[:at]
    return line


def parse_openssl_config(text: str, path: str, *, include: Include, environment: Mapping[str, str], directory: str = "/") -> OpensslConfig:
    """Parse a configuration; raises ArtefactError where OpenSSL would refuse it."""
    reader = _Reader(include, environment, directory)
    reader.read(text, path)
    return OpensslConfig(reader.sections, tuple(reader.includes))


def read_openssl_config(tree: Tree, path: str, *, environment: Mapping[str, str], directory: str = "/") -> OpensslConfig:
    """Read a configuration with its includes: files, or the *.cnf and *.conf of a directory. A missing include is skipped, as OpenSSL does.

    `directory` is the working directory of the program, `/` of a service that names none.
    """

    def include(name: str) -> list[tuple[str, str]]:
        node = tree.resolve(name)
        if node is None:
            return []
        files = (
            [child.path for child in tree.children(node.path) if child.name.endswith((".cnf", ".conf"))]
            if node.is_directory
            else [node.path]
        )
        return [(file, tree.text(file)) for file in files]

    return parse_openssl_config(tree.text(path), path, include=include, environment=environment, directory=directory)


def openssl_config_of(tree: Tree, path: str, unit: Unit) -> OpensslConfig:
    """Read a configuration as the programs of a unit do, with its environment and in its working directory."""
    directory = unit.value("Service", "WorkingDirectory").removeprefix("-")
    return read_openssl_config(tree, path, environment=read_environment(tree, unit), directory=join("/", directory))
