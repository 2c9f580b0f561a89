"""The workflow for GitHub and the component for GitLab: their forms by the services' schemas, their shell steps run on a real image (SUP-04)."""

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from everest_secure.errors import ExitCode
from support.images import tool
from support.reference import REPOSITORY, require
from support.reports import root
from support.sarif import complaints

WORKFLOW = REPOSITORY / ".github/workflows/check.yml"
COMPONENT = REPOSITORY / "templates/check/template.yml"
PROGRAMS = Path(sys.executable).parent
EXPRESSION = re.compile(r"\$\{\{ *([^}]*?) *\}\}")
INPUT = re.compile(r"\$\[\[ *inputs\.([a-z-]+) *\]\]")


def fits(file: Path, schema: str) -> None:
    done = subprocess.run([PROGRAMS / "check-jsonschema", "--builtin-schema", schema, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def workflow() -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return value


def steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow()["jobs"]["check"]["steps"]
    return found


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """What a build job left: an image of a bare root, with a blank in its name, and something else."""
    require("mksquashfs")
    (tmp_path / "images").mkdir()
    tool("mksquashfs", root(tmp_path / "tree"), tmp_path / "images/my charger.wic", "-quiet", "-no-progress")
    (tmp_path / "images/notes.txt").write_text("no image")
    return tmp_path


class Runner:
    """What of GitHub's runner the steps rely on: contexts in `env`, files for outputs, a shell that stops at errors."""

    def __init__(self, workspace: Path, inputs: Mapping[str, str]) -> None:
        self.workspace = workspace
        declared = workflow()["on"]["workflow_call"]["inputs"]
        self.contexts = {f"inputs.{name}": str(entry.get("default", "")) for name, entry in declared.items()}
        self.contexts |= {f"inputs.{name}": value for name, value in inputs.items()}
        self.temporary = workspace / "runner-temp"
        self.temporary.mkdir()
        self.path = f"{PROGRAMS}:{os.environ['PATH']}"
        self.summary = self.temporary / "summary"

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the step of that name."""
        (step,) = [step for step in steps() if step.get("name") == name]
        output, path = self.temporary / "output", self.temporary / "path"
        for file in (output, path):
            file.write_text("")
        given = {key: EXPRESSION.sub(lambda found: self.contexts[found[1]], value) for key, value in step.get("env", {}).items()}
        runner = {"GITHUB_OUTPUT": output, "GITHUB_PATH": path, "GITHUB_STEP_SUMMARY": self.summary, "RUNNER_TEMP": self.temporary}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={**os.environ, "PATH": self.path, **{key: str(value) for key, value in runner.items()}, **given},
            capture_output=True,
            text=True,
            check=False,
        )
        for line in output.read_text().splitlines():
            key, _, value = line.partition("=")
            self.contexts[f"steps.{step.get('id')}.outputs.{key}"] = value
        self.path = ":".join([*path.read_text().splitlines(), self.path])
        return done


def test_the_workflow_has_the_form_that_github_wants() -> None:
    fits(WORKFLOW, "vendor.github-workflows")


def test_every_action_of_others_is_pinned_to_a_commit_with_its_version() -> None:
    used = re.findall(r"uses: (.*)", WORKFLOW.read_text())
    assert len(used) == 3
    assert [line for line in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line)] == []


def test_no_input_is_part_of_a_shell_script() -> None:
    """What the caller says comes by the environment, where it stays a value."""
    assert [step["run"] for step in steps() if EXPRESSION.search(step.get("run", ""))] == []
    script = "\n".join(component(job="x")["script"])
    assert script == "\n".join(component(job="x", files="other", profile="other", policy="other", install="other")["script"])


def test_an_image_with_findings_fails_the_job_after_all_reports_are_there(images: Path) -> None:
    runner = Runner(images, {"files": "*.wic\n", "profile": "reference"})
    checked = runner.run("Check")
    assert checked.returncode == 0, checked.stderr
    value = json.loads((images / "reports/report.json").read_text())
    assert value["profile"] == "reference"
    assert [entry["name"] for entry in value["artefacts"]] == ["my charger.wic"]
    assert {file.name for file in (images / "reports").iterdir()} == {
        "report.html",
        "report.json",
        "junit.xml",
        "report.sarif",
        "report.md",
    }
    assert runner.summary.read_text() == (images / "reports/report.md").read_text()
    assert value["exit_code"] in (ExitCode.FINDINGS, ExitCode.FAILED)
    assert runner.run("Verdict").returncode == value["exit_code"]


def test_the_product_s_own_policy_is_used(images: Path) -> None:
    (images / "my policy.yml").write_text("extends: development\n")
    runner = Runner(images, {"files": "*.wic\n", "policy": "my policy.yml"})
    assert runner.run("Check").returncode == 0
    assert json.loads((images / "reports/report.json").read_text())["policy_file"] == "my policy.yml"


def test_an_artefact_that_cannot_be_read_fails_the_job_with_no_report(images: Path) -> None:
    runner = Runner(images, {"files": "notes.txt\n"})
    checked = runner.run("Check")
    assert "notes.txt" in checked.stderr
    assert list((images / "reports").iterdir()) == []
    assert runner.run("Prepare for code scanning").returncode == 0
    assert runner.run("Verdict").returncode == ExitCode.FAILED


def test_a_pattern_that_fits_nothing_fails_the_job(images: Path) -> None:
    checked = Runner(images, {"files": "*.wic\n*.raucb\n"}).run("Check")
    assert checked.returncode != 0
    assert "*.raucb" in checked.stderr


def test_code_scanning_gets_what_it_can_take(images: Path) -> None:
    require("jq")
    runner = Runner(images, {"files": "*.wic\n"})
    runner.run("Check")
    assert runner.run("Prepare for code scanning").returncode == 0
    packed = (runner.temporary / "alerts.sarif.gz.base64").read_bytes()
    log = json.loads(gzip.decompress(base64.b64decode(packed, validate=True)))
    whole = json.loads((images / "reports/report.sarif").read_text())
    (run,) = log["runs"]
    assert run["results"] == [result for result in whole["runs"][0]["results"] if result["kind"] == "fail"]
    assert run["results"]
    assert run["invocations"][0]["executionSuccessful"] is True
    assert complaints(runner.temporary / "alerts.sarif", kinds="Sarif;Ghas") == []


def test_a_runner_without_the_command_installs_it(tmp_path: Path) -> None:
    """From this checkout, by pip as the step does it; the rest of what it needs comes from the registry."""
    runner = Runner(tmp_path, {"install": str(REPOSITORY)})
    runner.path = os.environ["PATH"].replace(f"{PROGRAMS}:", "")
    installed = runner.run("Install")
    assert installed.returncode == 0, installed.stderr
    done = subprocess.run([runner.path.split(":")[0] + "/everest-secure", "explain", "NET-01"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("NET-01")


def component(**inputs: str) -> dict[str, Any]:
    """The job that the component becomes with inputs (documentation of GitLab, CI/CD components)."""
    head, _, body = COMPONENT.read_text().partition("\n---\n")
    declared = yaml.safe_load(head)["spec"]["inputs"]
    assert inputs.keys() <= declared.keys()
    values = {name: entry["default"] for name, entry in declared.items()} | inputs
    (job,) = yaml.safe_load(INPUT.sub(lambda found: values[found[1]], body)).values()
    assert isinstance(job, dict)
    return job


def run_component(workspace: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    job = component(**inputs)
    return subprocess.run(
        ["sh", "-e", "-c", "\n".join(job["script"])],
        cwd=workspace,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **job["variables"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_component_has_the_form_that_gitlab_wants(tmp_path: Path) -> None:
    (tmp_path / "ci.yml").write_text(yaml.safe_dump({"everest-secure": component()}))
    fits(tmp_path / "ci.yml", "vendor.gitlab-ci")


def test_the_component_ends_with_the_verdict_and_leaves_what_it_promises(images: Path) -> None:
    (images / "images/my charger.wic").rename(images / "images/charger.wic")
    done = run_component(images, files="images/*.wic", profile="reference")
    value = json.loads((images / "everest-secure/report.json").read_text())
    assert done.returncode == value["exit_code"] > 0
    assert value["profile"] == "reference"
    artifacts = component()["artifacts"]
    assert ElementTree.parse(images / artifacts["reports"]["junit"]).getroot().tag == "testsuites"
    assert [(images / path).is_dir() for path in artifacts["paths"]] == [True]


def test_the_component_takes_a_policy_of_the_product(images: Path) -> None:
    (images / "images/my charger.wic").rename(images / "images/charger.wic")
    (images / "my policy.yml").write_text("extends: development\n")
    run_component(images, files="images/*.wic", policy="my policy.yml")
    assert json.loads((images / "everest-secure/report.json").read_text())["policy_file"] == "my policy.yml"


def test_the_component_fails_where_a_pattern_fits_nothing(images: Path) -> None:
    done = run_component(images)
    assert done.returncode == ExitCode.FAILED
    assert "images/*.raucb" in done.stderr
