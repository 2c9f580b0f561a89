"""Logs of sessions and of OCPP, written by EVerest's real code with the configuration that the layer installs (LOG-01)."""

import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from everest_secure.run import running
from support.everest import PROFILES, patched
from support.everest_charger import USER, Charger, charger, install
from support.everest_code import Programs
from support.everest_logs import MIGRATIONS, ocpp_programs, session_program
from support.layer import Bench
from support.ocpp import COMPONENTS, CONFIG, FILE, edited, variable
from support.rootfs import RootFs, failing
from support.waiting import eventually

pytestmark = [
    pytest.mark.yocto,
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing"),
]

Change = Callable[[RootFs], RootFs]
COLLECTOR = "/everest/modules/Misc/Linux_Systemd_Rauc/diagnostics_collector.sh"
MODULES = {"1.6": "OCPP", "2.0.1": "OCPP201"}
NAMES = {"1.6": "libocpp_16", "2.0.1": "libocpp_201"}
VERSIONS = pytest.mark.parametrize("version", MODULES)


@pytest.fixture(scope="module")
def session(everest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return session_program(tmp_path_factory.mktemp("session"), everest)


@pytest.fixture(scope="module")
def ocpp(layer: Bench, everest: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    tree = patched(layer, tmp_path_factory.mktemp("patched"), everest)
    upstream, built = ocpp_programs(tmp_path_factory.mktemp("ocpp"), everest, everest, tree)
    return Programs(upstream, built)


def collected(charger: Charger, what: str, directory: str) -> str:
    """Return what EVerest's uploader would send of one kind of log."""
    done = charger.run(Path("/usr/bin/sh"), COLLECTOR, what, "--dir", directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_session_is_logged_where_diagnostics_take_it_from(layer: Bench, everest: Path, session: Path, tmp_path: Path) -> None:
    machine = install(charger(layer, everest), tmp_path, everest)
    done = machine.run(session, json.dumps(machine.configured("EvseManager")))
    assert done.returncode == 0, done.stderr
    files = machine.files("/var/log/everest")
    assert [path.name for path in files] == ["eventlog.csv", "eventlog.html"]
    assert {str(path.parents[1].relative_to(tmp_path)) for path in files} == {"var/log/everest/session"}
    (place,) = {path.parent for path in files}
    assert [(path.stat().st_uid, path.stat().st_gid) for path in (place, *files)] == [(USER.uid, USER.gid)] * 3
    assert [path.stat().st_mode & 0o777 for path in (place, *files)] == [0o700, 0o600, 0o600]
    sent = collected(machine, "session", machine.configured("Linux_Systemd_Rauc")["SessionLogPath"])
    assert f"--- {place.name}" in sent
    assert '"EVSE","Session Started: EVConnected"' in sent
    assert "<SessionSetupReq />" in sent


def test_a_session_that_goes_on_is_in_diagnostics_too(layer: Bench, everest: Path, session: Path, tmp_path: Path) -> None:
    machine = install(charger(layer, everest), tmp_path, everest)
    machine.run(session, json.dumps(machine.configured("EvseManager")), "open")
    assert [path.name for path in machine.files("/var/log/everest")] == ["incomplete-eventlog.csv", "incomplete-eventlog.html"]
    assert "Session Started" in collected(machine, "session", machine.configured("Linux_Systemd_Rauc")["SessionLogPath"])


@pytest.mark.parametrize(
    ("key", "value", "logged"),
    [
        pytest.param("session_logging", "false", None, id="off"),
        pytest.param("session_logging", "", None, id="off by default"),
        pytest.param("session_logging_path", "", "/tmp", id="the default's place"),
        pytest.param("session_logging_path", "/var/log/everest/sessions", "/var/log/everest/sessions", id="where nobody looks"),
    ],
)
def test_sessions_that_are_not_in_diagnostics_are_refused(
    layer: Bench, everest: Path, session: Path, tmp_path: Path, key: str, value: str, logged: str | None
) -> None:
    fs = charger(layer, everest).replace(CONFIG, f"^ *{key}: .*\n", f"      {key}: {value}\n" if value else "")
    machine = install(fs, tmp_path, everest)
    assert machine.run(session, json.dumps(machine.configured("EvseManager"))).returncode == 0
    places = {str(path.parents[1].relative_to(tmp_path)) for name in ("/var", "/tmp") for path in machine.files(name)}
    assert places == ({logged[1:]} if logged else set())
    assert "Session Started" not in collected(machine, "session", machine.configured("Linux_Systemd_Rauc")["SessionLogPath"])
    assert "LOG-01" in failing(fs)


def test_systemd_removes_a_session_s_log_when_its_days_are_over(layer: Bench, everest: Path, session: Path, tmp_path: Path) -> None:
    machine = install(charger(layer, everest, EVEREST_SESSION_LOG_DAYS="7"), tmp_path, everest)
    assert machine.run(session, json.dumps(machine.configured("EvseManager"))).returncode == 0
    machine.tmpfiles("--clean", days=6)
    assert len(machine.files("/var/log/everest/session")) == 2
    machine.tmpfiles("--clean", days=8)
    assert list((tmp_path / "var/log/everest/session").iterdir()) == []
    assert machine.run(session, json.dumps(machine.configured("EvseManager"))).returncode == 0
    assert len(machine.files("/var/log/everest/session")) == 2


def arguments(machine: Charger, version: str, *, here: bool = False) -> list[str]:
    """Return what of the configuration the OCPP module gives libocpp, with the charger's own paths or with those that they have `here`."""
    module = machine.configured(MODULES[version])
    own, everest = (str(machine.place), str(machine.everest)) if here else ("", "/everest")
    logs = f"{own}{module['MessageLogPath']}"
    if version != "1.6":
        return [f"{own}{module['DeviceModelConfigPath']}", f"{everest}/{MIGRATIONS}", f"{own}{module['DeviceModelDatabasePath']}", logs]
    shared = machine.place / "etc/shared"
    if not shared.exists():
        shutil.copytree(machine.everest / PROFILES, shared / "profile_schemas")
        (machine.place / module["UserConfigPath"][1:]).write_text("{}")  # as OCPP.cpp does at its first start
    return [f"{own}{module['ChargePointConfigPath']}", f"{own}/etc/shared", f"{own}{module['UserConfigPath']}", logs]


def logged(machine: Charger, program: Path, version: str, *, messages: int = 0, length: int = 100, events: int = 0) -> str:
    """Let libocpp log messages of a length, then security events, as the OCPP module would; return what it has for the CSMS."""
    done = machine.run(program, version, *arguments(machine, version), str(messages), str(length), str(events))
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(files: Iterable[Path], what: str = "message") -> list[int]:
    """Return the numbers of messages, or of events, in the order in which they lie in files."""
    return [int(number) for file in files for number in re.findall(rf'"{what} (\d+)"', file.read_text())]


def from_the_oldest(machine: Charger, basename: str) -> list[Path]:
    """Return a log and its older parts, the oldest of which has the highest number."""
    found = [path for path in machine.files("/var/log/everest/ocpp") if path.name.startswith(f"{basename}.log")]
    return sorted(found, key=lambda path: int(path.suffix[1:]) if path.suffix != ".log" else -1, reverse=True)


def switch(version: str, name: str, value: object) -> Change:
    """Another value of a setting of OCPP's logs."""
    if version == "1.6":
        return edited(FILE, lambda document: document["Internal"].__setitem__(name, value))
    return variable("InternalCtrlr", name, value)


def values(fs: RootFs, version: str) -> tuple[int, int]:
    """Return size and number of files that the configuration allows a log."""
    names = ("LogRotationMaximumFileSize", "LogRotationMaximumFileCount")
    if version == "1.6":
        internal = json.loads(fs.nodes[FILE][1])["Internal"]
        size, count = (internal[name] for name in names)
    else:
        properties = json.loads(fs.nodes[f"{COMPONENTS}/InternalCtrlr.json"][1])["properties"]
        size, count = (properties[name]["attributes"][0]["value"] for name in names)
    return size, count


@VERSIONS
def test_ocpp_s_messages_and_security_events_are_logged_where_diagnostics_take_them_from(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str
) -> None:
    machine = install(charger(layer, everest, EVEREST_OCPP_VERSION=version), tmp_path, everest)
    logged(machine, ocpp.built, version, messages=3, events=2)
    files = machine.files("/var/log/everest")
    assert [path.name for path in files] == [f"{NAMES[version]}.log", f"{NAMES[version]}.security.log"]
    assert {str(path.parent.relative_to(tmp_path)) for path in files} == {"var/log/everest/ocpp"}
    assert [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in files] == [(USER.uid, 0o600)] * 2
    assert (numbers(files[:1]), numbers(files[1:], "event")) == ([0, 1, 2], [0, 1])
    sent = collected(machine, "ocpp", machine.configured("Linux_Systemd_Rauc")["OCPPLogPath"])
    assert '"message 2"' in sent
    assert '"type":"MaintenanceLoginFailed"' in sent


@VERSIONS
def test_ocpp_s_log_keeps_the_newest_and_grows_no_further_than_the_layer_says(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str
) -> None:
    fs = charger(layer, everest, EVEREST_OCPP_VERSION=version)
    machine = install(fs, tmp_path, everest)
    size, count = values(fs, version)
    length = size // 50
    logged(machine, ocpp.built, version, messages=50 * (count + 3), length=length)
    files = from_the_oldest(machine, NAMES[version])
    assert len(files) == count
    assert max(path.stat().st_size for path in files) < size + 2 * length
    kept = numbers(files)
    assert kept == list(range(kept[0], 50 * (count + 3)))
    assert len(kept) > 50 * (count - 1)


FAULTS = [
    ("LogRotation", False),
    ("LogRotationMaximumFileSize", 0),
    ("LogRotationMaximumFileCount", 0),
    ("LogRotationMaximumFileCount", 12),
    ("LogMessagesFormat", ["console", "security"]),
]
KEPT = 5
SMALL = {"EVEREST_OCPP_LOG_BYTES": "1000", "EVEREST_OCPP_LOG_COUNT": str(KEPT)}
EVENTS, CLEARED = 200, "SecurityLogWasCleared"


def keeps_the_newest(machine: Charger, version: str, messages: int) -> bool:
    """Whether the log has the newest messages, each in its order, in as many files as there may be."""
    files = from_the_oldest(machine, NAMES[version])
    kept = numbers(files)
    return (
        bool(kept) and kept == list(range(kept[0], messages)) and len(files) <= KEPT and max(path.stat().st_size for path in files) < 2000
    )


@VERSIONS
@pytest.mark.parametrize(("name", "value"), [(None, None), *FAULTS], ids=str)
def test_the_checker_refuses_what_makes_libocpp_keep_no_bounded_log_of_the_newest_messages(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str, name: str | None, value: object
) -> None:
    fs = charger(layer, everest, EVEREST_OCPP_VERSION=version, **SMALL)
    if name:
        given = ",".join(value) if isinstance(value, list) and version != "1.6" else value
        fs = switch(version, name, given)(fs)
    machine = install(fs, tmp_path, everest)
    logged(machine, ocpp.built, version, messages=200)
    assert keeps_the_newest(machine, version, 200) == (name is None)
    assert ("LOG-01" in failing(fs)) == (name is not None)


@VERSIONS
def test_only_ocpp_1_6_has_a_switch_that_turns_its_log_off(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str
) -> None:
    fs = switch(version, "LogMessages", False)(charger(layer, everest, EVEREST_OCPP_VERSION=version))
    machine = install(fs, tmp_path, everest)
    logged(machine, ocpp.built, version, messages=1)
    assert bool(machine.files("/var/log/everest")) == (version != "1.6")
    assert ("LOG-01" in failing(fs)) == (version == "1.6")


@VERSIONS
def test_libocpp_removes_the_newest_of_its_dated_logs(layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str) -> None:
    fs = switch(version, "LogRotationDateSuffix", True)(charger(layer, everest, EVEREST_OCPP_VERSION=version, **SMALL))
    machine = install(fs, tmp_path, everest)
    dated = [tmp_path / f"var/log/everest/ocpp/{NAMES[version]}.log.202601{day:02}000000" for day in (1, 2, 3, 4)]
    for path in dated:
        path.touch()
    logged(machine, ocpp.built, version, messages=10)
    assert [path.exists() for path in dated] == [True, True, True, False]
    assert "LOG-01" in failing(fs)


@VERSIONS
def test_a_full_security_log_loses_its_oldest_part_and_the_csms_is_told(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str
) -> None:
    machine = install(charger(layer, everest, EVEREST_OCPP_VERSION=version, **SMALL), tmp_path, everest)
    said = logged(machine, ocpp.built, version, events=EVENTS)
    files = from_the_oldest(machine, f"{NAMES[version]}.security")
    kept = numbers(files, "event")
    assert len(files) == KEPT
    assert kept == list(range(kept[0], EVENTS))
    assert any(CLEARED in path.read_text() for path in files)
    assert CLEARED in said


@VERSIONS
def test_upstream_waits_for_itself_when_the_security_log_is_full(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, version: str
) -> None:
    machine = install(charger(layer, everest, EVEREST_OCPP_VERSION=version, **SMALL), tmp_path, everest)
    command: list[str | Path] = [ocpp.upstream, version, *arguments(machine, version, here=True), "0", "0", str(EVENTS)]
    with running(command) as process:
        eventually(lambda: waits_for_itself(process.pid))


def waits_for_itself(pid: int) -> bool:
    """Whether a process waits for a lock and has no other thread that could open it."""
    process = Path(f"/proc/{pid}")
    return len(list((process / "task").iterdir())) == 1 and (process / "wchan").read_text().startswith("futex")
