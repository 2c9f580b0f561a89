"""Parses recipes and runs their tasks with BitBake's engine, as a program of its own: a request on stdin, a reply on stdout, both JSON.

`python -m everest_secure.reference.recipes.engine`. BitBake's library is GPL-2.0 and holds global state, so that it is never imported
into the main program; `harness.py` is the only caller and documents request and reply.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bb
import bb.build
import bb.utils

from everest_secure.reference.recipes.datastore import Data, Layers, RecipeError, RecipeSkippedError, load

MAX_LOG = 64 * 1024
"""Bytes at the end of a task's log that are searched for its last words."""


class Complaints(logging.Handler):
    """Collects what BitBake logs as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of one complaint."""
        self.texts.append(record.getMessage())

    def first(self) -> str:
        """Return the first complaint, which is the cause, as one line."""
        return " ".join(self.texts[0].split()) if self.texts else "it gave no reason"


def build(layers: Layers, name: str, variables: Sequence[str], complaints: Complaints) -> dict[str, Any]:
    """Parse one recipe and run its tasks up to `do_install`."""
    d = layers.parse(name)
    if d.getVar("PACKAGES"):
        for task in tasks_before("do_install", d):
            run_task(task, d, name, complaints)
    return describe(d, variables)


def run_alone(layers: Layers, name: str, task: str, complaints: Complaints) -> dict[str, Any]:
    """Parse one recipe and run one of its tasks, and none that it depends on."""
    d = layers.parse(name)
    run_task(task, d, name, complaints)
    return describe(d, ())


def tasks_before(last: str, d: Data) -> list[str]:
    """Return a task and all it depends on within its recipe, in an order in which they can run; as for BitBake, what is no task is no dependency."""
    order: list[str] = []

    def visit(task: str) -> None:
        for needed in sorted(d.getVarFlag(task, "deps", False) or []):
            visit(needed)
        if task not in order and d.getVarFlag(task, "task", False) and not d.getVarFlag(task, "noexec"):
            order.append(task)

    visit(last)
    return order


def run_task(task: str, d: Data, name: str, complaints: Complaints) -> None:
    """Run one task; raises RecipeError with the place and the last words of what failed."""
    file = d.getVar("FILE")
    complaints.texts.clear()
    d.setVarFlag(task, "nostamp", "1")
    if not bb.build.exec_task(file, task, d):
        return
    log = Path(d.getVar("T")) / f"log.{task}"
    said = log.read_bytes()[-MAX_LOG:].decode(errors="replace") if log.exists() else ""
    place = Path(d.getVarFlag(task, "filename", False) or "")
    where = f"{place}:{d.getVarFlag(task, 'lineno', False)}" if place.is_file() else file
    raise RecipeError(name, where, f"{task} failed: {_reason(said) or complaints.first()}")


def _reason(log: str) -> str:
    """Return the first error in a task's log, or else the last thing that a program said; empty when there is neither."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.partition("ERROR: ")[2] for line in lines if line.startswith("ERROR: ")]
    spoken = [line for line in lines if not line.startswith(("DEBUG:", "NOTE:", "WARNING:"))]
    return (errors[:1] or spoken[-1:] or [""])[0]


def describe(d: Data, variables: Sequence[str]) -> dict[str, Any]:
    """Return what the recipe says of itself and its packages."""
    packages = (d.getVar("PACKAGES") or "").split()
    services = set((d.getVar("SYSTEMD_PACKAGES") or "").split()) if bb.data.inherits_class("systemd", d) else set()
    users = set((d.getVar("USERADD_PACKAGES") or "").split()) if bb.data.inherits_class("useradd", d) else set()
    return {
        "name": d.getVar("PN"),
        "version": d.getVar("PV"),
        "summary": d.getVar("SUMMARY"),
        "license": d.getVar("LICENSE"),
        "file": d.getVar("FILE"),
        "image": d.getVar("D"),
        "packages": [_package(package, d, has_services=package in services, has_users=package in users) for package in packages],
        "variables": {variable: _value(variable, d) for variable in variables},
    }


def _value(variable: str, d: Data) -> str:
    """Return the expanded value of `NAME` or `NAME[flag]`; empty when unset."""
    name, bracket, flag = variable.partition("[")
    return str((d.getVarFlag(name, flag.rstrip("]")) if bracket else d.getVar(name)) or "")


def _package(name: str, d: Data, *, has_services: bool, has_users: bool) -> dict[str, Any]:
    def of(variable: str) -> str:
        return str(d.getVar(f"{variable}:{name}") or "")

    def lines(variable: str) -> list[str]:
        return [" ".join(line.split()) for line in of(variable).split(";") if line.strip()] if has_users else []

    def depends(variable: str) -> list[str]:
        versions = bb.utils.explode_dep_versions2(of(variable))
        return [f"{on} ({version})" if version else on for on, found in versions.items() for version in found or [""]]

    return {
        "name": name,
        "summary": of("SUMMARY") or d.getVar("SUMMARY"),
        "patterns": of("FILES").split(),
        "allow_empty": of("ALLOW_EMPTY") == "1",
        "depends": depends("RDEPENDS"),
        "recommends": depends("RRECOMMENDS"),
        "provides": depends("RPROVIDES"),
        "groups": lines("GROUPADD_PARAM"),
        "users": lines("USERADD_PARAM"),
        "memberships": lines("GROUPMEMS_PARAM"),
        "services": of("SYSTEMD_SERVICE").split() if has_services else [],
        "enabled": (of("SYSTEMD_AUTO_ENABLE") or d.getVar("SYSTEMD_AUTO_ENABLE")) == "enable",
    }


def run_hooks(layers: Layers, name: str, rootfs: str, variables: Sequence[str], complaints: Complaints) -> dict[str, Any]:
    """Run an image recipe's ROOTFS_POSTPROCESS_COMMAND and IMAGE_QA_COMMANDS on a root file system."""
    d = layers.parse(name)
    d.setVar("IMAGE_ROOTFS", rootfs)
    bb.utils.mkdirhier(d.getVar("T"))
    for task, variable in (("do_rootfs", "ROOTFS_POSTPROCESS_COMMAND"), ("do_image_qa", "IMAGE_QA_COMMANDS")):
        for function in (d.getVar(variable) or "").replace(";", " ").split():
            complaints.texts.clear()
            local = bb.data.createCopy(d)
            local.setVar("BB_RUNTASK", task)
            try:
                bb.build.exec_func(function, local)
            except (bb.BBHandledException, SystemExit) as error:
                complaints.texts.append(str(error))
            if complaints.texts:
                raise RecipeError(name, d.getVar("FILE"), f"{function} of {variable} failed: {complaints.first()}")
    return describe(d, variables)


def survey(layers: Layers, name: str) -> list[dict[str, Any]]:
    """Describe one recipe, or nothing when this configuration leaves it out."""
    try:
        return [describe(layers.parse(name), ())]
    except RecipeSkippedError:
        return []


def answer(request: Mapping[str, Any], complaints: Complaints) -> dict[str, Any]:
    """Do what a request asks; raises RecipeError."""
    layers = load(layers=[Path(layer) for layer in request["layers"]], top=Path(request["work"]), settings=request["settings"])
    variables = request["variables"]
    if request["action"] == "survey":
        return {"recipes": [described for name in request["names"] for described in survey(layers, name)]}
    actions: dict[str, Callable[[str], dict[str, Any]]] = {
        "build": lambda name: build(layers, name, variables, complaints),
        "describe": lambda name: describe(layers.parse(name), variables),
        "task": lambda name: run_alone(layers, name, request["task"], complaints),
        "hooks": lambda name: run_hooks(layers, name, request["rootfs"], variables, complaints),
    }
    return {"recipes": [actions[request["action"]](name) for name in request["names"]]}


def main() -> None:
    """Read a request, do it, write the reply; whatever tasks print goes to stderr."""
    request = json.load(sys.stdin)
    reply = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    complaints = Complaints()
    logging.getLogger("BitBake").addHandler(complaints)
    try:
        answered = answer(request, complaints)
    except RecipeError as error:
        answered = {"error": {"recipe": error.recipe, "where": error.where, "message": str(error)}}
    except (bb.BBHandledException, bb.data_smart.ExpansionError) as error:
        complaints.texts.append(str(error))
        answered = {"error": {"recipe": "", "where": "the configuration", "message": complaints.first()}}
    with os.fdopen(reply, "w") as stream:
        json.dump(answered, stream)


if __name__ == "__main__":
    main()
