"""Who may call a service by the policy of the system bus: dbus-daemon itself lets a call pass or not, and we say the same (RAUC-04).

The service is the bus, which a policy guards as it does any other; everybody is the user of the test.
"""

import subprocess
from pathlib import Path

import pytest

from everest_secure.parse.dbus_policy import EVERYONE, may_call, read_bus_policy
from everest_secure.run import running
from support.reference import require
from support.rootfs import RootFs
from support.waiting import while_it_runs

BUS = "org.freedesktop.DBus"
FRAME = '<busconfig><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth><policy context="default"><allow user="*"/>'
FRAME += '<deny send_destination="*"/><allow receive_sender="*"/></policy>{policies}</busconfig>'
TO = f'send_destination="{BUS}"'


def default(rule: str) -> str:
    return f'<policy context="default">{rule}</policy>'


OPEN = default(f"<allow {TO}/>")
POLICIES = {
    "": False,
    OPEN: True,
    # The rule of the session bus, "allow everything to be sent".
    default('<allow send_destination="*" eavesdrop="true"/>'): True,
    default('<allow eavesdrop="true"/>'): False,
    default(f'<allow {TO} send_requested_reply="true"/>'): True,
    default('<allow send_requested_reply="true" send_type="method_return"/>'): False,
    OPEN + default(f'<deny {TO} eavesdrop="true"/>'): False,
    OPEN + default(f'<deny {TO} send_requested_reply="true"/>'): False,
    OPEN + default(f'<deny {TO} min_fds="1"/>'): True,
    f'<policy at_console="false"><allow {TO}/></policy>': True,
    f'<policy at_console="true"><allow {TO}/></policy>': False,
    OPEN + f'<policy at_console="false"><deny {TO}/></policy>': False,
    f'<policy at_console="false"><allow {TO}/></policy><policy context="mandatory"><deny {TO}/></policy>': False,
}


@pytest.mark.parametrize("policies", POLICIES, ids=lambda each: each or "nothing besides")
def test_the_bus_lets_pass_what_we_say(policies: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    require("dbus-daemon", "dbus-send")
    place = tmp_path_factory.mktemp("b")
    text = FRAME.format(place=place, policies=policies)
    (place / "bus.conf").write_text(text)
    rules = read_bus_policy(RootFs().file("/bus.conf", text).tree, "/bus.conf")
    assert (may_call(rules, BUS, user=EVERYONE) is not None) is POLICIES[policies]
    assert passes(place) is POLICIES[policies]


def passes(place: Path) -> bool:
    """Whether a call comes to the bus, which then knows no such interface."""
    with running(["dbus-daemon", f"--config-file={place}/bus.conf", "--nofork", "--nopidfile"]) as bus:
        while_it_runs(bus, (place / "bus").exists)
        call = ["dbus-send", f"--bus=unix:path={place}/bus", "--print-reply", f"--dest={BUS}", "/", "a.test.Ask"]
        said = subprocess.run(call, capture_output=True, text=True, check=False).stderr
    assert "UnknownInterface" in said or "AccessDenied" in said, said
    return "UnknownInterface" in said
