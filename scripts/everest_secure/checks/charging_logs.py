"""Logs of charging sessions and OCPP messages: LOG-01."""

from collections.abc import Iterator
from posixpath import normpath

from everest_secure.checks.activation import never
from everest_secure.checks.common import MAX_SHOWN, at, configuration, units_of, words
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.ocpp import MODULES, ocpp_configurations, place
from everest_secure.parse.everest_config import EverestConfig, Module
from everest_secure.parse.ocpp import Ocpp, Setting
from everest_secure.parse.tmpfiles import read_cleaning
from everest_secure.policy.parameters import Parameters

CLEANING = "systemd-tmpfiles-clean.timer"
MANAGER, UPLOADER = "EvseManager", "Linux_Systemd_Rauc"
SESSION, OCPP = "session_logging_path", "MessageLogPath"
_WRITTEN = {SESSION: "/tmp", OCPP: "/tmp/everest_ocpp_logs"}  # noqa: S108 - EVerest's defaults, which are the finding
_UPLOADED = {SESSION: ("SessionLogPath", "/var/log/everest/session"), OCPP: ("OCPPLogPath", "/var/log/everest/ocpp")}
"""The uploader's keys of what it takes, with its defaults (manifests of EVerest 2026.02.1)."""
_FORMATS = frozenset({"console", "console_detailed", "log", "html", "session_logging", "callback", "security"})
"""Words that libocpp knows (charge_point.cpp); others it passes over."""
_MOST = 11
"""Files that libocpp rotates: it takes the name that is last in the alphabet for the oldest (ocpp_logging.cpp), and .10 comes before .9."""


@check("LOG-01", on=Scope.ROOT)
def logs_are_where_diagnostics_take_them_from(root: Root, policy: Parameters, note: Notes) -> None:
    """Sessions and messages are logged below one directory on the data partition, and the uploader has the same paths."""
    config = configuration(root, note)
    if config is None:
        return
    modules = [(module, SESSION) for module in config.of_type(MANAGER)] + [(module, OCPP) for module in config.of_type(*MODULES)]
    if not modules:
        raise NotApplicable(f"{config.path} starts neither {MANAGER} nor an OCPP module")
    for module, key in modules:
        path = normpath(str(module.config.get(key, _WRITTEN[key])))
        where = at(root, config.path, config.line_of(module, key))
        if key == SESSION and module.config.get("session_logging", False) is not True:
            line = config.line_of(module, "session_logging")
            what = f"'{module.id}' logs no charging sessions: session_logging is not true"
            note.finding(what, at=at(root, config.path, line), remedy="Set session_logging to true.")
        elif not f"{path}/".startswith(f"{policy.log_directory}/"):
            what = f"'{module.id}' logs to {path} ({key}), not below {policy.log_directory}"
            note.finding(what, at=where, remedy=f"Set {key} to a directory below {policy.log_directory}.")
        else:
            note.saw(f"{where}: {key}: {path}")
            for uploader, name, taken in _uploaders(config, key):
                if taken != path:
                    what = f"'{uploader.id}' uploads {taken} ({name}), and '{module.id}' logs to {path}: diagnostics are empty"
                    line = config.line_of(uploader, name)
                    note.finding(what, at=at(root, config.path, line), remedy=f"Set {name} to {path}.")


def _uploaders(config: EverestConfig, key: str) -> Iterator[tuple[Module, str, str]]:
    name, default = _UPLOADED[key]
    for module in config.of_type(UPLOADER):
        yield module, name, normpath(str(module.config.get(name, default)))


@check("LOG-01", on=Scope.ROOT)
def old_session_logs_are_removed(root: Root, policy: Parameters, note: Notes) -> None:
    """EVerest never removes a session's log: systemd-tmpfiles does after some days."""
    config = configuration(root, note)
    if config is None:
        return
    if not config.of_type(MANAGER):
        raise NotApplicable(f"{config.path} starts no {MANAGER}")
    for what in never(root, CLEANING):
        remedy = f"Let {CLEANING} start; timers.target wants it by itself."
        note.finding(
            f"{what}, so that logs of sessions are kept for ever", at=at(root, units_of(root.tree).unit(CLEANING).path), remedy=remedy
        )
    for module in config.of_type(MANAGER):
        path = normpath(str(module.config.get(SESSION, _WRITTEN[SESSION])))
        found = read_cleaning(root.tree, path)
        if found:
            note.saw(f"{found.source}:{found.line}: {path}: {found.age}")
        else:
            what = f"nothing removes old logs of sessions from {path}, which fill the data partition"
            where = at(root, config.path, config.line_of(module, SESSION))
            note.finding(what, at=where, remedy=f"Add a line 'e {path} - - - 30d' to tmpfiles.d.")


@check("LOG-01", on=Scope.ROOT)
def ocpp_messages_are_logged_and_rotated(root: Root, policy: Parameters, note: Notes) -> None:
    """The right words in the right keys, and limits for size and number: without them a log grows for ever."""
    for _, ocpp in ocpp_configurations(root, note):
        for setting, what, remedy in _faults(ocpp, policy):
            note.finding(f"{what}{'' if setting.given else ' by default'}", at=place(root, setting), remedy=remedy)
        note.saw(f"{ocpp.path}: LogMessagesFormat: {', '.join(ocpp.switch('LogMessagesFormat').words)}")


def _faults(ocpp: Ocpp, policy: Parameters) -> Iterator[tuple[Setting, str, str]]:
    formats, messages, rotation = (ocpp.switch(name) for name in ("LogMessagesFormat", "LogMessages", "LogRotation"))
    dated, count = ocpp.switch("LogRotationDateSuffix"), ocpp.switch("LogRotationMaximumFileCount")
    # Of the charge points the one of OCPP 1.6 alone reads it (charge_point_impl.cpp).
    if not messages.on and ocpp.module.type != "OCPP201":
        yield messages, "OCPP messages are not logged: LogMessages is off", "Set LogMessages to true."
    missing, unknown = set(policy.ocpp_log_formats) - set(formats.words), set(formats.words) - _FORMATS
    if missing:
        yield formats, f"LogMessagesFormat lacks {words(missing)}", f"Add {words(missing)}."
    if unknown:
        yield (
            formats,
            f"LogMessagesFormat has {words(word[:32] for word in sorted(unknown)[:MAX_SHOWN])}, which OCPP does not know",
            f"Use words of {words(_FORMATS)}.",
        )
    if not rotation.on:
        yield rotation, "logs of OCPP messages are kept for ever: LogRotation is off", "Set LogRotation to true."
    if dated.on:
        what = "the newest of the older logs of OCPP messages is removed, and the oldest is kept: LogRotationDateSuffix is on"
        yield dated, what, "Set LogRotationDateSuffix to false."
    if (count.number or 0) > _MOST:
        what = f"of the logs of OCPP messages newer ones are lost and the oldest are kept: LogRotationMaximumFileCount is {count.shown}"
        yield count, what, f"Set LogRotationMaximumFileCount to at most {_MOST}, and LogRotationMaximumFileSize to more."
    for name in ("LogRotationMaximumFileSize", "LogRotationMaximumFileCount"):
        limit = ocpp.switch(name)
        if not limit.number:
            yield limit, f"logs of OCPP messages have no limit: {name} is {limit.shown}", f"Set {name} to a number from 1 on."
