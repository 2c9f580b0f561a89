"""RAUC's service, as itself, on a bus of its own."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from everest_secure.run import running
from support.reference import require
from support.waiting import while_it_runs

_BUS = """<busconfig><type>session</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


@dataclass(frozen=True)
class RaucService:
    """The service of a device whose `system.conf` lies in a directory, with a short path, since a socket lies there too."""

    place: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its environment, and so of what it starts."""

    @contextmanager
    def running(self, **more: str) -> Iterator[None]:
        """Start it and wait until it answers; the test fails when it ends."""
        require("rauc", "dbus-daemon")
        environment = {**self._environment, **more}
        (self.place / "bus.conf").write_text(_BUS.format(place=self.place))
        with running(["dbus-daemon", f"--config-file={self.place}/bus.conf", "--nofork"]) as bus:
            while_it_runs(bus, (self.place / "bus").exists)
            command: list[str | Path] = ["rauc", "--conf", self.place / "system.conf", "--override-boot-slot=A", "service"]
            with (
                (self.place / "service.log").open("w") as log,
                subprocess.Popen(command, env=environment, stdout=log, stderr=log) as service,
            ):
                try:
                    while_it_runs(service, lambda: self.asked("status").returncode == 0)
                    yield
                finally:
                    service.terminate()
        (self.place / "bus").unlink(missing_ok=True)

    def asked(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Return how a command of rauc's ended that asks the service."""
        return subprocess.run(["rauc", *arguments], env=self._environment, capture_output=True, text=True, check=False)

    @property
    def said(self) -> str:
        """What the service wrote, which is the journal's on a charger."""
        return (self.place / "service.log").read_text()

    @property
    def _environment(self) -> dict[str, str]:
        own = {"DBUS_STARTER_BUS_TYPE": "session", "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.place}/bus"}
        return {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **own, **self.variables}
