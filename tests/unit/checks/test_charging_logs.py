import pytest

from everest_secure.checks.charging_logs import CLEANING
from support.mutation import Mutation, check_mutation, sentence
from support.ocpp import CONFIG, key, variable, version_16
from support.rootfs import failing, good_root

AGES = "/usr/lib/tmpfiles.d/everest-logs.conf"

MUTATIONS = [
    Mutation("sessions are not logged", "LOG-01", lambda fs: fs.replace(CONFIG, "session_logging: true", "session_logging: false")),
    Mutation("sessions are not logged by default", "LOG-01", lambda fs: fs.replace(CONFIG, ".*session_logging: true", "")),
    Mutation("sessions are logged in the guide's directory, of which the uploader does not know", "LOG-01", lambda fs: fs.replace(CONFIG, "(session_logging_path: .*)session", r"\1sessions")),
    Mutation("sessions are logged elsewhere on the data partition", "LOG-01", lambda fs: fs.replace(CONFIG, "(session_logging_path:) .*", r"\1 /var/lib/everest/session")),
    Mutation("a path leads out of the directory of logs", "LOG-01", lambda fs: fs.replace(CONFIG, "(session_logging_path:) .*", r"\1 /var/log/everest/../session")),
    Mutation("the uploader takes messages from elsewhere", "LOG-01", lambda fs: fs.replace(CONFIG, "(OCPPLogPath: .*)ocpp", r"\1ocpp2")),
    Mutation("the uploader takes sessions from elsewhere", "LOG-01", lambda fs: fs.replace(CONFIG, "SessionLogPath: .*", "SessionLogPath: /var/log/everest/sessions")),
    Mutation("nothing removes old sessions", "LOG-01", lambda fs: fs.remove(AGES)),
    Mutation("old sessions have no age", "LOG-01", lambda fs: fs.replace(AGES, "30d", "-")),
    Mutation("old sessions have an age that is for the start alone", "LOG-01", lambda fs: fs.replace(AGES, "^e ", "e! ")),
    Mutation("old sessions have an age that systemd does not understand", "LOG-01", lambda fs: fs.replace(AGES, "30d", "30x")),
    Mutation("sessions are never old", "LOG-01", lambda fs: fs.replace(AGES, "30d", "infinity")),
    Mutation("a line keeps what is in the directory of sessions", "LOG-01", lambda fs: fs.append(AGES, "x /var/log/everest/*/*\n")),
    Mutation("a line before it keeps the directory of sessions", "LOG-01", lambda fs: fs.file("/etc/tmpfiles.d/a.conf", "x /var/log/everest/session\n")),
    Mutation("nothing ever looks for old sessions", "LOG-01", lambda fs: fs.link(f"/etc/systemd/system/{CLEANING}", "/dev/null")),
    Mutation("who looks for old sessions is not installed", "LOG-01", lambda fs: fs.remove("/usr/lib/systemd/system/systemd-tmpfiles-clean.service")),
    Mutation("2.x logs no messages", "LOG-01", variable("InternalCtrlr", "LogMessagesFormat", "")),
    Mutation("2.x logs no security events", "LOG-01", variable("InternalCtrlr", "LogMessagesFormat", "log,html")),
    Mutation("2.x has the numbers of the guide", "LOG-01", variable("InternalCtrlr", "LogMessagesFormat", "log,security,2,3")),
    Mutation("2.x keeps logs for ever", "LOG-01", variable("InternalCtrlr", "LogRotation", None)),
    Mutation("2.x has no limit of size", "LOG-01", variable("InternalCtrlr", "LogRotationMaximumFileSize", 0)),
    Mutation("2.x has no limit of number", "LOG-01", variable("InternalCtrlr", "LogRotationMaximumFileCount", None)),
    Mutation("2.x loses the newest of the older logs", "LOG-01", variable("InternalCtrlr", "LogRotationDateSuffix", True)),
    Mutation("2.x has more files than libocpp keeps in order", "LOG-01", variable("InternalCtrlr", "LogRotationMaximumFileCount", 12)),
    Mutation("1.6 logs no messages", "LOG-01", key("Internal", "LogMessages", False)),
    Mutation("1.6 logs no security events", "LOG-01", key("Internal", "LogMessagesFormat", ["log"])),
    Mutation("1.6 keeps logs for ever by default", "LOG-01", key("Internal", "LogRotation", None)),
    Mutation("1.6 loses the newest of the older logs", "LOG-01", key("Internal", "LogRotationDateSuffix", True)),
    Mutation("1.6 has more files than libocpp keeps in order", "LOG-01", key("Internal", "LogRotationMaximumFileCount", 12)),
    Mutation("1.6 has no limit of size", "LOG-01", key("Internal", "LogRotationMaximumFileSize", None)),
]  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_the_uploaders_defaults_are_what_it_takes() -> None:
    fs = good_root().replace(CONFIG, "^ *(OCPPLogPath|SessionLogPath): .*$", "")
    assert not failing(fs)


def test_formats_are_libocpps_own_where_none_is_set() -> None:
    assert not failing(key("Internal", "LogMessagesFormat", None)(good_root()))


def test_what_ocpp_201_never_reads_is_no_fault() -> None:
    assert not failing(variable("InternalCtrlr", "LogMessages", False)(good_root()))


def test_a_charger_that_uploads_nothing_still_logs() -> None:
    fs = version_16(good_root()).replace(CONFIG, "(MessageLogPath: .*)ocpp", r"\1messages")
    assert set(failing(fs)) == {"LOG-01"}
