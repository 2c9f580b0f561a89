"""What else starts EVerest: ACC-05. All that is checked of configuration, user and capabilities is checked of everest.service."""

import re

from everest_secure.checks.common import (
    CONFIG_OPTIONS,
    SERVICE,
    at,
    executes,
    manager_commands,
    option,
    service,
    started,
    stored_configuration,
)
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.deeds import deeds, said_by
from everest_secure.parse.everest_manifests import MODULES
from everest_secure.policy.parameters import Parameters

_MANAGER = r"/bin/manager(?![\w.-])|(?<![\w./-])manager\s+-"
_REMEDY = f"Let {SERVICE} alone start EVerest, and its configuration the modules."


@check("ACC-05", on=Scope.ROOT)
def everest_is_started_by_its_service_alone(root: Root, policy: Parameters, note: Notes) -> None:
    """No other unit that starts, and no rule of udev, runs the manager or a module; the service itself runs one configuration and no module."""
    config = stored_configuration(root)
    directory = str((config.setting("modules_dir") if config else None) or MODULES).rstrip("/")
    modules = rf"{re.escape(directory)}/[\w.-]+/(?!manifest\.)[\w.-]"
    units = started(root)
    found = dict(deeds(root, re.compile(f"{_MANAGER}|{modules}")))
    found |= {
        name: start.unit.path for name, start in units.items() if any(executes(root, command, "manager") for command in start.unit.commands)
    }
    for name, path in found.items():
        if name != SERVICE:
            what = f"{name} starts EVerest's manager or a module besides {SERVICE}, with neither its restrictions nor its configuration"
            note.finding(what, at=at(root, path), remedy=_REMEDY)
    unit = service(root)
    for path in (path for text, path in said_by(root, unit) if re.search(modules, text)):
        note.finding(f"{SERVICE} starts a module that the manager does not know", at=at(root, path), remedy=_REMEDY)
    runs = manager_commands(root)
    configurations = {option(command, *CONFIG_OPTIONS) or "" for command in runs}
    if len(configurations) > 1:
        what = f"{SERVICE} starts managers with {len(configurations)} configurations, of which one is checked"
        note.finding(what, at=at(root, unit.path), remedy=_REMEDY)
    note.saw(f"commands of {len(units)} units that start, and rules of udev; {len(runs)} commands of {SERVICE} start the manager")
