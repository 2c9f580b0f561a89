#!/usr/bin/python3 -I
"""Stand-in for EVerest's manager: the same configuration, broker, user and capabilities, and no charging.

As the real one it reads `settings` and `active_modules`, needs the broker's socket, starts a process per module as `run_as_user` with
exactly the module's `capabilities` (inheritable and ambient), then becomes that user itself. A module is an MQTT client on the broker's
socket. When a module ends, everything ends, and systemd starts it anew. Exit codes: 0 stopped, 1 failed, 78 configuration error.
"""

import argparse
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

BROKER_SECONDS = 30
CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h


def load(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (settings, modules) of a configuration file; exits when they are not what the schema asks for."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings, modules = document.get("settings", {}), document.get("active_modules", {})
    if "mqtt_broker_socket_path" not in settings or not modules:
        sys.stderr.write(f"manager: {path} needs settings.mqtt_broker_socket_path and active_modules\n")
        sys.exit(CONFIGURATION_ERROR)
    return settings, modules


def wait_for_broker(path: str) -> None:
    """Return once the broker accepts a connection on its socket; exits when it does not within BROKER_SECONDS."""
    end = time.monotonic() + BROKER_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
            return
        except OSError as error:
            if time.monotonic() > end:
                sys.stderr.write(f"manager: no broker on {path}: {error.strerror}\n")
                sys.exit(1)
        time.sleep(0.2)


def start(name: str, module: dict[str, Any], settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the process of one module."""
    command = []
    if user := settings.get("run_as_user"):
        command = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"]
    wanted = [capability.removeprefix("CAP_").lower() for capability in module.get("capabilities", [])]
    if wanted:
        capabilities = ",".join(f"+{capability}" for capability in wanted)
        command += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    client = [
        "mosquitto_sub",
        "--unix",
        settings["mqtt_broker_socket_path"],
        "--id",
        f"everest-{name}",
        "--topic",
        f"everest/modules/{name}/#",
    ]
    return subprocess.Popen([*command, *client])


def become(user: str) -> None:
    """Give up root for good."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main() -> int:
    """Run until told to stop or until a module ends."""
    parser = argparse.ArgumentParser(description="Stand-in for EVerest's manager.")
    parser.add_argument("--config", "--conf", type=Path, required=True, metavar="FILE")
    settings, modules = load(parser.parse_args().config)
    wait_for_broker(settings["mqtt_broker_socket_path"])
    children = {start(name, module, settings).pid: name for name, module in modules.items()}
    if "run_as_user" in settings:
        become(settings["run_as_user"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"manager: stand-in runs {len(children)} modules", flush=True)
    ended, _ = os.wait()
    sys.stderr.write(f"manager: module {children.get(ended, ended)} ended\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
