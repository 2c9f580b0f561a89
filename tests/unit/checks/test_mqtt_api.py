from collections.abc import Callable

import pytest

from everest_secure import checks
from everest_secure.checks.core import Scope, registered, run_check
from everest_secure.result import Outcome
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root, mqtt_api, production

CONF, ACL = "/etc/mosquitto/everest-mqtt-api.conf", "/etc/mosquitto/everest-mqtt-api.acl"
UNIT, TIMER = f"{UNITS}/everest-mqtt-api.service", f"{UNITS}/everest-mqtt-api-off.timer"
Fault = Callable[[RootFs], object]


def conf(pattern: str, new: str = "") -> Fault:
    return lambda fs: fs.replace(CONF, pattern, new)


FAULTS: dict[str, Fault] = {
    "no certificate is required": conf("^require_certificate true$"),
    "what requires it is in an included file, where it is of another listener": lambda fs: fs.replace(
        CONF, "^require_certificate true$", "include_dir /etc/mosquitto/api.d"
    ).file("/etc/mosquitto/api.d/tls.conf", "require_certificate true\n"),
    "a certificate is not required": conf("^require_certificate true$", "require_certificate false"),
    "certificates are of no authority": conf("^cafile .*$"),
    "the broker has no certificate": conf("^certfile .*$"),
    "the broker has no key": conf("^keyfile .*$"),
    "a client is not known by its certificate": conf("^use_identity_as_username true$"),
    "anonymous clients come in": conf("^allow_anonymous false$", "allow_anonymous true"),
    "an old TLS is accepted": conf("^tls_version tlsv1.2$", "tls_version tlsv1.1"),
    "a second listener has no TLS": lambda fs: fs.append(CONF, "listener 1885\n"),
    "there is no access list": conf("^acl_file .*$"),
    "a plugin decides who may what": lambda fs: fs.append(CONF, "plugin /usr/lib/x.so\n"),
    "every client reads everything": lambda fs: fs.append(ACL, "pattern read #\n"),
    "a client writes to the bus of EVerest": lambda fs: fs.append(ACL, "user operator\ntopic write everest/#\n"),
    "a client writes what it may only read": lambda fs: fs.append(
        ACL, "user operator\ntopic everest_api/1/evse_manager_consumer/+/e2m/#\n"
    ),
    "a client poses as EVerest": lambda fs: fs.append(ACL, "topic readwrite everest_api/1/x/y/m2e/z\n"),
    "the access list is on the data partition": lambda fs: (fs.remove(ACL), fs.file("/var/acl", ""), fs.link(ACL, "/var/acl")),
    "the bridge carries the bus of EVerest": lambda fs: fs.append(CONF, "topic everest/# in 1\n"),
    "the bridge carries everything out": lambda fs: fs.append(CONF, "topic # out 1\n"),
    "the bridge carries both ways": lambda fs: fs.append(CONF, "topic everest_api/1/x/y/e2m/# both 1\n"),
    "a prefix of the bridge leads to the bus of EVerest": lambda fs: fs.append(CONF, 'topic # in 1 everest_api/1/x/y/e2m/ everest/\n'),
    "the bridge leads out of the charger": conf("^address 127.0.0.1:1883$", "address broker.example.org:1883"),
    "nothing ends it": lambda fs: fs.remove(TIMER),
    "it is not bound to what ends it": lambda fs: fs.replace(UNIT, "^BindsTo=.*$", "BindsTo=mosquitto.service"),
    "what the timer starts ends something else": lambda fs: fs.replace(f"{UNITS}/everest-mqtt-api-off.service", "^Conflicts=.*$", ""),
    "it ends after a day": lambda fs: fs.replace(TIMER, "30min", "1d"),
    "it never ends": lambda fs: fs.replace(TIMER, "30min", "infinity"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_mqtt_api_does_not_hold_when(fault: str) -> None:
    fs = mqtt_api(good_root())
    FAULTS[fault](fs)
    found = failing(fs)
    assert set(found) == {"NET-02"}, found
    assert not found["NET-02"][0].startswith("error: "), found


def test_the_mqtt_api_of_the_layer_holds() -> None:
    assert failing(mqtt_api(good_root())) == {}


def test_an_api_that_starts_at_boot_is_an_open_port_and_no_longer_off() -> None:
    fs = mqtt_api(good_root()).link(f"{LOCAL}/multi-user.target.wants/everest-mqtt-api.service", UNIT)
    assert set(failing(fs)) == {"NET-01", "NET-02", "NET-04"}


def test_a_unit_may_end_itself_instead_of_having_a_timer() -> None:
    fs = mqtt_api(good_root()).remove(TIMER).replace(UNIT, r"^\[Service\]$", "[Service]\nRuntimeMaxSec=15min")
    assert failing(fs) == {}


def test_a_broker_of_another_name_that_somebody_can_start_is_an_api_too() -> None:
    fs = good_root().file(f"{UNITS}/remote.service", "[Service]\nExecStart=/usr/sbin/mosquitto -c /etc/remote.conf\n")
    assert set(failing(fs.file("/etc/remote.conf", "listener 8883\n"))) == {"NET-02"}


def test_without_a_second_broker_it_does_not_apply() -> None:
    checks.load()
    found = [run_check(each, good_root().root, "r", production()) for each in registered() if each.requirement == "NET-02"]
    assert {result.outcome for result in found} == {Outcome.NOT_APPLICABLE}
    assert all("no broker besides EVerest's own" in result.reason for result in found)
    assert {each.scope for each in registered() if each.requirement == "NET-02"} == {Scope.ROOT}
