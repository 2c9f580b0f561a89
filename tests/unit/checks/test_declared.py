"""Each kind of declared condition: a root on which it holds, and one on which it does not."""

from pathlib import Path
from typing import Any

import pytest

from everest_secure.checks.core import CheckResult, run_check
from everest_secure.checks.declared import declared_checks
from everest_secure.checks.session import check_artefacts
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import load_policy
from everest_secure.result import Outcome
from support.reports import root
from support.rootfs import LOCAL, UNITS, RootFs, good_root, production

HEAD = "extends: production\nchecks:\n- id: METER-01\n  title: The meter is safe\n  why: Bills.\n  remedy: Mend it.\n  severity: high\n  expect:\n"


def product() -> RootFs:
    """Return a root file system with a few things of a product's own."""
    fs = good_root().file("/etc/meter.conf", "port = 1\ndebug = 0\n", mode=0o640, gid=20)
    fs.link("/etc/meter", "meter.conf")
    fs.file("/var/lib/dpkg/status", "Package: meter\nStatus: install ok installed\nVersion: 1.2~rc1-r0\n")
    fs.file(f"{UNITS}/meter.service", "[Service]\nExecStart=/usr/bin/meter\n").file(
        f"{UNITS}/spare.service", "[Service]\nExecStart=/bin/x\n"
    )
    return fs.link(f"{LOCAL}/multi-user.target.wants/meter.service", f"{UNITS}/meter.service")


def judged(tmp_path: Path, condition: str, fs: RootFs | None = None) -> CheckResult:
    path = tmp_path / "my.yml"
    path.write_text(f"{HEAD}  - {{{condition}}}\n")
    (check,) = declared_checks(load_policy(path, catalogue=load_catalogue()).declared)
    return run_check(check, (fs or product()).root, "rootfs", production())


HOLDS = [
    'kind: file, path: /etc/meter.conf, mode: "0640", owner: root, group: dialout',
    'kind: file, path: /etc/meter, mode: "640", owner: "0", group: "20"',
    "kind: file, path: /etc",
    "kind: no-file, path: /usr/bin/meter-debug*",
    "kind: package, name: meter",
    'kind: package, name: meter, version: ">= 1.2~rc1"',
    'kind: package, name: meter, version: "< 1.2"',
    "kind: no-package, name: meter-*",
    "kind: unit, name: meter.service, state: enabled",
    "kind: unit, name: spare.service, state: disabled",
    "kind: unit, name: debug-shell.service, state: masked",
    "kind: unit, name: other.service, state: absent",
    'kind: kernel, option: CONFIG_STRICT_KERNEL_RWX, value: "y"',
    'kind: kernel, option: NO_SUCH_OPTION, value: "n"',
    "kind: everest, key: run_as_user, value: everest",
    "kind: everest, module: Linux_Systemd_Rauc, key: OCPPLogPath, value: /var/log/everest/ocpp",
    "kind: everest, module: system, key: OCPPLogPath, value: /var/log/everest/ocpp",
    "kind: text, path: /etc/meter.conf, contains: '^port *='",
    "kind: text, path: /etc/meter.conf, lacks: 'debug *= *1'",
]
FAILS = {
    'kind: file, path: /etc/meter.conf, mode: "0600"': "/etc/meter.conf has the mode 0640 instead of 0600",
    "kind: file, path: /etc/meter.conf, owner: everest": "/etc/meter.conf has the owner root instead of everest",
    "kind: file, path: /etc/meter.conf, group: root": "/etc/meter.conf has the group dialout instead of root",
    "kind: file, path: /etc/none": "/etc/none does not exist",
    "kind: no-file, path: /etc/met*": "/etc/meter exists",
    "kind: package, name: none": "the package none is not installed",
    'kind: package, name: meter, version: ">= 1.2"': "the package meter has the version 1.2~rc1-r0, not >= 1.2",
    "kind: no-package, name: met*": "the package meter 1.2~rc1-r0 is installed",
    "kind: unit, name: meter.service, state: disabled": "meter.service is enabled instead of disabled: wanted by multi-user.target",
    "kind: unit, name: spare.service, state: enabled": "spare.service is disabled instead of enabled",
    "kind: unit, name: spare.service, state: masked": "spare.service is disabled instead of masked",
    "kind: unit, name: debug-shell.service, state: absent": "debug-shell.service is masked instead of absent",
    "kind: unit, name: other.service, state: enabled": "other.service is absent instead of enabled",
    'kind: kernel, option: CONFIG_STRICT_KERNEL_RWX, value: "n"': "CONFIG_STRICT_KERNEL_RWX is y instead of n",
    "kind: everest, key: run_as_user, value: root": "settings has run_as_user: everest instead of root",
    "kind: everest, key: none, value: 1": "settings has none: None instead of 1",
    "kind: everest, module: Linux_Systemd_Rauc, key: OCPPLogPath, value: true": (
        "the module 'system' has OCPPLogPath: /var/log/everest/ocpp instead of True"
    ),
    "kind: everest, module: Nobody, key: a, value: 1": "there is no module 'Nobody'",
    "kind: text, path: /etc/meter.conf, contains: 'baud'": "no line of /etc/meter.conf has 'baud'",
    "kind: text, path: /etc/meter.conf, lacks: 'debug'": "a line of /etc/meter.conf has 'debug'",
    "kind: text, path: /etc/none, lacks: 'debug'": "/etc/none does not exist",
}


@pytest.mark.parametrize("condition", HOLDS)
def test_it_holds(condition: str, tmp_path: Path) -> None:
    result = judged(tmp_path, condition)
    assert result.outcome is Outcome.PASS, result
    assert result.seen


@pytest.mark.parametrize("condition", FAILS)
def test_it_does_not_hold(condition: str, tmp_path: Path) -> None:
    result = judged(tmp_path, condition)
    assert result.outcome is Outcome.FAIL, result
    assert result.findings[0].what == FAILS[condition]
    assert result.findings[0].remedy == "Mend it."


def test_packages_of_an_image_without_a_list_are_an_error_and_no_pass(tmp_path: Path) -> None:
    for condition in ("kind: package, name: a", "kind: no-package, name: a"):
        assert judged(tmp_path, condition, good_root().remove("/usr/share/common-licenses")).outcome is Outcome.ERROR


def test_a_kernel_that_says_nothing_is_an_error_and_no_pass(tmp_path: Path) -> None:
    fs = product()
    for path in [path for path in fs.nodes if path.startswith("/usr/lib/modules/") and path.endswith("/config")]:
        fs.remove(path)
    assert judged(tmp_path, 'kind: kernel, option: X, value: "y"', fs).outcome is Outcome.ERROR


def test_a_line_that_is_no_text_is_an_error_and_no_pass(tmp_path: Path) -> None:
    fs = product().file("/etc/meter.conf", "x" * 5000)
    assert judged(tmp_path, "kind: text, path: /etc/meter.conf, lacks: 'debug'", fs).outcome is Outcome.ERROR


def test_what_a_policy_declares_stands_in_the_report_behind_the_catalogue(tmp_path: Path) -> None:
    policy = tmp_path / "my.yml"
    conditions: list[dict[str, Any]] = [{"kind": "no-file", "path": "/x"}, {"kind": "file", "path": "/y"}]
    policy.write_text(HEAD + "".join(f"  - {each}\n" for each in conditions))
    report = check_artefacts([root(tmp_path / "rootfs")], policy_file=policy)
    last = report.results[-1]
    assert (last.requirement.id, last.outcome, last.reason) == ("METER-01", Outcome.FAIL, "1 finding")
    assert [part.check for part in last.parts] == ["nothing is called /x", "/y is there"]
    assert report.groups[-1] == last.requirement.group == "The product's own"


def test_conditions_that_differ_in_anything_differ_in_words_by_which_a_cache_tells_them_apart(tmp_path: Path) -> None:
    conditions = [
        *(f"kind: file, path: /a{more}" for more in ("", ', mode: "0644"', ', mode: "0600"', ", owner: root", ", group: root")),
        *(f"kind: package, name: a{more}" for more in ("", ', version: ">= 1"', ', version: "< 2"')),
        *(f"kind: everest, key: a, value: {value}" for value in ("1", '"1"', "true", '"True"')),
        "kind: everest, module: settings, key: a, value: 1",
        *(f"kind: text, path: /a, {more}" for more in ("contains: a", "lacks: a")),
        *(f"kind: {kind}, {name}: a*" for kind, name in (("no-file", "path"), ("no-package", "name"))),
    ]
    path = tmp_path / "my.yml"
    path.write_text(HEAD + "".join(f"  - {{{each}}}\n" for each in conditions).replace("path: a*", "path: /a*"))
    checks = declared_checks(load_policy(path, catalogue=load_catalogue()).declared)
    assert len(checks) == len({each.title for each in checks}) == len(conditions)
