"""Services, network, access: NET-01, NET-03, NET-06, NET-07."""

import re
from dataclasses import replace

from everest_secure.checks.common import (
    SERVICE,
    at,
    configuration,
    entries_of,
    executes,
    findings_up_to,
    option,
    options,
    place_of,
    service,
    started,
    units_of,
)
from everest_secure.checks.core import STARTING, Notes, Root, Scope, Starting, check
from everest_secure.checks.deeds import deeds, named_in_scripts
from everest_secure.checks.installed import forbidden, package_evidence
from everest_secure.checks.steady import hidden_by, lies_on_the_root
from everest_secure.checks.subjects import roots_that_start
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import printable
from everest_secure.parse.commands import files_run, program
from everest_secure.parse.environment import read_environment
from everest_secure.parse.generated import OF_ENVIRONMENT, OF_SYSTEMD, generators
from everest_secure.parse.mosquitto import BrokerConfig, parse_broker_config, read_broker_config
from everest_secure.parse.patterns import matches
from everest_secure.parse.unit_file import octal
from everest_secure.parse.unit_graph import Start, bus_services
from everest_secure.parse.units import Unit, template
from everest_secure.policy.parameters import Parameters

WWW = "/usr/share/everest/www"
_ACTIVE = (".service", ".socket", ".timer", ".path")
_STARTS_BROKER = re.compile(
    r"(?:(?:^|[;&|(`]|\b(?:exec|then|do|else|nohup|setsid))[ \t]*|bin/|\[[\"'])mosquitto[\"',]*[ \t]+[\"']?-{1,2}[a-z]", re.MULTILINE
)
_OFFERS_LOGIN = re.compile(
    r"(?<![\w.@-])(?:a|min)?getty[\"',]*[ \t]+[\w/$\"'-]|(?<![\w.-])(?:ba|da|a)?sh\b[^\n;|&]{0,400}<\s*[\"']?/dev/(?:tty|console|hvc|\$)"
)
_INTERPRETED = re.compile(
    r"(?:^|[;&|({]|\b(?:then|do|else|exec)\b)[ \t]*(?:/\S*/)?(?:(?:ba|da|a)?sh|\.|source|python[\d.]*)[ \t]+(?:-\S+[ \t]+)*[\"']?(/[^\s;|&\"'$)]+)",
    re.MULTILINE,
)
"""What starts a broker or a login, or has a file read as a program, in a script or a rule of udev."""
_LOGIN = ("agetty", "getty", "mingetty", "sulogin", "systemd-sulogin-shell", "login")


@check("NET-01", on=Scope.ROOT)
def broker_listens_on_one_unix_socket_only(root: Root, policy: Parameters, note: Notes) -> None:
    """Every broker that starts is read with its defaults; together they listen on the policy's socket and nothing else."""
    brokers = [
        (name, start, command)
        for name, start in started(root).items()
        for command in start.unit.commands
        if executes(root, command, "mosquitto")
    ]
    remedy = f"Give the broker one line 'listener 0 {policy.broker_socket}' and no other listener."
    if not brokers:
        note.finding(
            "no broker starts, so EVerest has nothing to connect to", at=at(root), remedy="Install the broker and enable its unit."
        )
    for who, path in deeds(root, _STARTS_BROKER, commands=False):
        what = f"{who} starts a broker by a script, whose listeners are not looked for"
        note.finding(what, at=at(root, path), remedy="Let a unit start mosquitto itself.")
    for name, start, command in brokers:
        path, config = broker_config(root, command)
        for each in (path, *config.includes) if path else ():
            lies_on_the_root(root, each, note)
        if _open_to_everyone(start.unit, policy.broker_socket):
            what = f"every user may connect to the broker of {name}: neither directory nor umask of the socket keeps others out"
            note.finding(what, at=at(root, start.unit.path), remedy="Set RuntimeDirectoryMode=0750 and UMask=0007.")
        for listener in config.listeners:
            place = at(root, path if path else start.unit.path, listener.line)
            if listener.socket_path != policy.broker_socket:
                note.finding(f"the broker of {name} listens on {listener.describe()}", at=place, remedy=remedy)
            elif not listener.allow_anonymous:
                what = f"the broker refuses EVerest, which cannot log in: allow_anonymous is false on {listener.socket_path}"
                note.finding(what, at=place, remedy="Set 'allow_anonymous true'; who may open the socket is the access control.")
            else:
                note.saw(f"{place}: {listener.describe()}")
        for bridge in config.bridges:
            note.finding(
                f"the main broker is bridged by '{bridge.name}'",
                at=at(root, bridge.path, bridge.line),
                remedy="Bridge from a separate broker.",
            )


def _open_to_everyone(unit: Unit, socket: str) -> bool:
    """Whether others may enter the socket's directory, if the unit makes it, and write to the socket; systemd's defaults are 0755 and 0022."""
    made = {f"/run/{name.partition(':')[0]}" for name in unit.words("Service", "RuntimeDirectory")}
    directory = octal(unit.value("Service", "RuntimeDirectoryMode"), 0o755) if socket.rpartition("/")[0] in made else 0o755
    return bool(directory & 0o001) and not octal(unit.value("Service", "UMask"), 0o022) & 0o002


def broker_config(root: Root, command: tuple[str, ...]) -> tuple[str, BrokerConfig]:
    """Read what the command line names; without a file, or with a port, it says something of its own."""
    paths = options(command, "-c", "--config-file")
    config = read_broker_config(root.tree, *paths) if paths else parse_broker_config("", "mosquitto without a configuration file")
    port = option(command, "-p", "--port")
    if port is not None:
        extra = parse_broker_config(f"listener {port}", "-p on the command line of mosquitto")
        config = replace(config, listeners=(*config.listeners, *extra.listeners))
    return paths[-1] if paths else "", config


@check("NET-01", on=Scope.ROOT)
def everest_connects_through_that_socket(root: Root, policy: Parameters, note: Notes) -> None:
    """Configuration and unit name the same socket and no TCP broker."""
    config, unit = configuration(root, note), service(root)
    if config is None:
        return
    found, line = config.setting("mqtt_broker_socket_path"), config.line("mqtt_broker_socket_path")
    remedy = f"Set 'mqtt_broker_socket_path: {policy.broker_socket}' in 'settings' and nothing else about the broker."
    if found != policy.broker_socket:
        what = f"EVerest connects to {found}" if found else "EVerest connects over TCP: 'mqtt_broker_socket_path' is not set"
        note.finding(what, at=at(root, config.path, line), remedy=remedy)
    for name in ("mqtt_broker_host", "mqtt_broker_port"):
        if config.setting(name) is not None:
            note.finding(f"the setting '{name}' names a TCP broker", at=at(root, config.path, config.line(name)), remedy=remedy)
    for name in sorted(read_environment(root.tree, unit)):
        if name.startswith("MQTT_SERVER_"):
            what = f"{SERVICE} sets {name}, which names a TCP broker"
            note.finding(what, at=at(root, unit.path), remedy="Take the variable out of the unit.")
    note.saw(f"{config.path}:{line}: mqtt_broker_socket_path: {found}")


@check("NET-03", on=Scope.ROOT)
def admin_panel_is_absent(root: Root, policy: Parameters, note: Notes) -> None:
    """No controller, no panel, nothing of it in packages."""
    remedy = "Build EVerest without the PACKAGECONFIG admin-panel and install no panel."
    for what, where in forbidden(root, policy.forbidden_packages, policy.forbidden_files, "NET-03"):
        note.finding(what, at=where, remedy=remedy)
    files = [node for node in root.tree.under(WWW) if not node.is_directory]
    findings_up_to(note, [(f"{node.path} belongs to the admin panel", at(root, node.path)) for node in files], remedy=remedy)
    note.saw(f"{package_evidence(root)}; {WWW} holds {len(files)} files")


@check("NET-06", on=Scope.ROOT)
def only_listed_services_start(root: Root, policy: Parameters, note: Notes) -> None:
    """Every service, socket, timer and path that can start is on the list of the policy, and nothing else starts programs."""
    units = {name: start for name, start in started(root).items() if name.endswith(_ACTIVE)}
    if not units:
        raise ArtefactError(f"{root.artefact.name} starts no service at all; it is no systemd root file system that can be checked")
    found = [
        (f"{name} starts: {start.reason}", at(root, start.path))
        for name, start in sorted(units.items())
        if not matches(name, policy.enabled_units) and not matches(template(name), policy.enabled_units)
    ]
    found += [
        (f"{each.program} is started over D-Bus as {each.name}, outside any unit", at(root, each.path))
        for each in bus_services(root.tree)
        if not each.unit and program((each.program.partition(" ")[0],)) != "false" and not matches(each.name, policy.enabled_units)
    ]
    found += [
        (f"the generator {node.name} starts units of its own making", at(root, node.path))
        for node in generators(root.tree)
        if not node.path.startswith(OF_SYSTEMD) and not matches(node.name, policy.enabled_units)
    ]
    found += [
        (f"the generator {node.name} sets variables of every service", at(root, node.path))
        for node in generators(root.tree, OF_ENVIRONMENT)
        if not matches(node.name, policy.enabled_units)
    ]
    findings_up_to(note, found, remedy="Remove the package, disable or mask the unit; if the product needs it, add it to 'enabled_units'.")
    note.saw(f"{len(units)} services, sockets, timers and paths that start")


@check("NET-06", on=Scope.ROOT)
def units_run_only_what_the_image_holds(root: Root, policy: Parameters, note: Notes) -> None:
    """No unit, script or rule of udev runs what lies on a mount: on the data partition it may be the service user's, and `noexec` stops no interpreter."""
    runs = [
        (name, path, start.unit.path)
        for name, start in started(root).items()
        for command in start.unit.every_command
        for path in files_run(command)
    ]
    found = {
        (f"{name} runs {printable(path)}, which lies below {where}: the image does not decide what it does", at(root, source))
        for name, path, source in (*runs, *named_in_scripts(root, _INTERPRETED))
        if (where := hidden_by(root, path))
    }
    findings_up_to(note, sorted(found, key=lambda each: each[0]), remedy="Put the program on the root file system.")
    note.saw(f"commands of {len(started(root))} units that start")


@check("NET-06", on=STARTING)
def command_lines_start_what_the_image_does(starting: Starting, policy: Parameters, note: Notes) -> None:
    """No boot entry asks systemd for another target than the image's own, whose units are those that were compared."""
    roots = roots_that_start(starting) or starting.roots
    for entry in entries_of(starting):
        place = place_of(entry)
        for name, target in entry.command_line.targets:
            known = target == "default.target" or (roots and all(_is_default(root, target) for root in roots))
            if not known and not target.startswith(_SHELL_TARGETS):
                what = f"the kernel command line holds '{name}': {target} starts, whose units nobody compared, instead of default.target"
                note.finding(what, at=place, remedy="Take it out, and let default.target be what the product starts.")
        note.saw(f"{place}: {len(entry.command_line.targets)} parameters name a target")


def _is_default(root: Root, target: str) -> bool:
    units = units_of(root.tree)
    return units.real_name(target) == units.real_name("default.target")


@check("NET-06", on=Scope.ROOT)
def no_remote_access_program_is_installed(root: Root, policy: Parameters, note: Notes) -> None:
    """No package or program of the policy's list of remote access and discovery services."""
    for what, where in forbidden(root, policy.forbidden_packages, policy.forbidden_files, "NET-06"):
        note.finding(what, at=where, remedy="Leave the package out of the image.")
    note.saw(package_evidence(root))


@check("NET-07", on=Scope.ROOT)
def debug_shells_are_masked(root: Root, policy: Parameters, note: Notes) -> None:
    """Each unit of the list leads to /dev/null, and no instance or other unit offers a login or shell on a terminal."""
    units = units_of(root.tree)
    for name in policy.masked_units:
        unit = units.unit(name)
        if unit.masked:
            note.saw(f"{unit.path} masks {name}")
        else:
            what = f"{name} is not masked"
            note.finding(what, at=at(root, unit.path), remedy=f"Ship the link /etc/systemd/system/{name} -> /dev/null in a package.")
    for name, start in started(root).items():
        if _offers_login(start) and name not in policy.masked_units:
            note.finding(f"{name} offers a login or a shell: {start.reason}", at=at(root, start.unit.path), remedy="Mask the unit.")
    for who, path in deeds(root, _OFFERS_LOGIN, commands=False):
        note.finding(f"{who} offers a login or a shell by a script", at=at(root, path), remedy="Take the command out of the script.")
    for name in units.names:
        if name != template(name) and template(name) in policy.masked_units and units.unit(name).exists:
            what = f"{name} has a unit file of its own, which the mask of {template(name)} does not reach"
            note.finding(what, at=at(root, units.unit(name).path), remedy="Remove the unit file.")


def _offers_login(start: Start) -> bool:
    programs = {program(command) for command in start.unit.commands}
    return bool(programs.intersection(_LOGIN)) or start.unit.value("Service", "StandardInput").startswith(("tty", "file:/dev/"))


@check("NET-07", on=STARTING)
def command_lines_open_no_shell(starting: Starting, policy: Parameters, note: Notes) -> None:
    """No boot entry asks for a debug shell, another init or a rescue target."""
    for entry in entries_of(starting):
        place = place_of(entry)
        line = entry.command_line
        opened = [name for name in _SHELL_PARAMETERS if line.has(name)]
        opened += [name for name in ("systemd.unit", "rd.systemd.unit") if (line.last(name) or "").startswith(_SHELL_TARGETS)]
        for name in opened:
            note.finding(f"the kernel command line holds '{name}'", at=place, remedy="Take the parameter out of the command line.")
        note.saw(f"{place}: {len(line.parameters)} parameters")


_SHELL_TARGETS = ("rescue", "emergency", "debug")
_SHELL_PARAMETERS = (
    "init", "rdinit", "systemd.debug_shell", "systemd.debug-shell", "rd.systemd.debug_shell", "rd.shell", "rd.break", "rd.debug", "single",
    "rescue", "emergency", "S", "s", "1", "-b", "break", "systemd.default_debug_tty",
)  # fmt: skip
