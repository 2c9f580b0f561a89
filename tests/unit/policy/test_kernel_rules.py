from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.errors import PolicyError
from everest_secure.parse.kconfig import KernelConfig, parse_kconfig
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.kernel_rules import KernelRule, broken_rules, kernel_rules, load_kernel_rules, rules_file
from everest_secure.policy.profile import load_profile, profile_names
from support.kernel import MACHINES, configuration

X86 = "CONFIG_X86_64=y\n"


def config(text: str, *, version: str = "6.6.1") -> KernelConfig:
    return parse_kconfig(f"# Linux/x86 {version} Kernel Configuration\n{text}".encode(), artefact="kernel")


def rule(tmp_path: Path, text: str) -> KernelRule:
    file = tmp_path / "kernel.yml"
    file.write_text(f"blocks:\n- requirement: KERN-01\n  why: w\n  rules:\n  - {text}\n")
    (found,) = load_kernel_rules(file)
    return found


def test_the_rules_hold_to_their_schema_and_serve_requirements_that_exist() -> None:
    rules = load_kernel_rules(rules_file())
    assert len(rules) > 100
    assert {each.requirement for each in rules} == {"KERN-01", "KERN-02", "NET-08", "BOOT-05"} & set(load_catalogue().ids)
    assert {each.requirement: each.why for each in rules if not each.why.endswith(".")} == {}


def test_no_option_has_two_rules_as_an_exception_names_the_option() -> None:
    options = [each.option for each in kernel_rules()]
    assert sorted(options) == sorted(set(options))


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("{option: A, is: y}", "CONFIG_A=y", True),
        ("{option: A, is: y}", "CONFIG_A=m", False),
        ("{option: A, is: y|m}", "CONFIG_A=m", True),
        ("{option: A, is: n}", "# CONFIG_A is not set", True),
        ("{option: A, is: n}", "CONFIG_B=y", True),
        ("{option: A, is: n}", "CONFIG_A=m", False),
        ('{option: A, is: ">=32768"}', "CONFIG_A=32768", True),
        ('{option: A, is: ">=32768"}', "CONFIG_A=4096", False),
        ('{option: A, is: ">=32768"}', "CONFIG_B=y", False),
        ('{option: A, is: "!=0"}', "CONFIG_A=-1", True),
        ('{option: A, is: "!=0"}', "CONFIG_A=0", False),
        ('{option: A, is: "!=0"}', "CONFIG_B=y", False),
        ("{option: A, is: has lockdown}", 'CONFIG_A="yama,lockdown,bpf"', True),
        ("{option: A, is: has lockdown}", 'CONFIG_A="nolockdown"', False),
        ("{option: A, is: y, or: [{B: y}]}", "CONFIG_B=y", True),
        ("{option: A, is: y, or: [{B: y, C: n}]}", "CONFIG_B=y\nCONFIG_C=y", False),
        ("{option: A, is: y, or: [{B: y, C: n}]}", "CONFIG_B=y", True),
    ],
)
def test_a_rule_holds_or_not(tmp_path: Path, text: str, line: str, expected: bool) -> None:
    assert rule(tmp_path, text).holds(config(f"CONFIG_Z=y\n{line}\n")) is expected


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [
        ("{option: A, is: y, since: '6.6'}", "6.6.0", True),
        ("{option: A, is: y, since: '6.6'}", "6.10.0", True),
        ("{option: A, is: y, since: '6.6'}", "5.15.9", False),
        ("{option: A, is: y, before: '6.9'}", "6.8.12", True),
        ("{option: A, is: y, before: '6.9'}", "6.9.0", False),
        ("{option: A, is: y, architectures: [x86_64]}", "6.6.0", True),
        ("{option: A, is: y, architectures: [arm64, arm]}", "6.6.0", False),
    ],
)
def test_a_rule_applies_by_version_and_architecture(tmp_path: Path, text: str, version: str, expected: bool) -> None:
    assert rule(tmp_path, text).applies(config(X86, version=version)) is expected


def test_a_kernel_that_does_not_say_its_version_is_held_to_the_newest_rules(tmp_path: Path) -> None:
    unknown = replace(config(X86), version=None)
    assert rule(tmp_path, "{option: A, is: y, since: '6.6'}").applies(unknown)
    assert not rule(tmp_path, "{option: A, is: y, before: '6.9'}").applies(unknown)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{option: A}", "rules[0]: the key 'is' is missing"),
        ("{option: A, is: maybe}", '"maybe" is not a wanted value such as y, y|m'),
        ("{option: a, is: y}", '"a" is not a name without CONFIG_ such as DEVMEM'),
        ("{option: A, is: y, arch: [arm]}", "unknown key"),
        ("{option: A, is: y, architectures: [sparc]}", '"sparc" is not known'),
        ("{option: A, is: y, since: 6.6}", "must be text"),
    ],
)
def test_a_wrong_rule_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        rule(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/kernel.yml:5: ")
    assert message in str(error.value)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_layer_s_fragments_satisfy_every_rule(machine: str) -> None:
    kernel = parse_kconfig(configuration(machine).encode(), artefact=machine)
    assert {each.option for each in kernel_rules() if each.applies(kernel) and not each.holds(kernel)} == set()


@pytest.mark.parametrize("machine", MACHINES)
def test_every_option_of_a_fragment_of_which_a_rule_speaks_is_needed_for_it(machine: str) -> None:
    """A fragment and a rule that say opposite things would not be noticed where the rule has another way to hold."""
    kernel = parse_kconfig(configuration(machine).encode(), artefact=machine)
    for each in kernel_rules():
        first = each.ways[0]
        if each.applies(kernel) and each.option in kernel.options:
            assert replace(each, ways=(first,)).holds(kernel), (machine, each.option)


@pytest.mark.parametrize("profile", profile_names())
def test_every_exception_of_a_profile_names_a_rule(profile: str) -> None:
    exceptions = load_profile(profile, catalogue=load_catalogue()).parameters.kernel_exceptions
    assert exceptions.keys() - {each.option for each in kernel_rules()} == set()
    assert bool(exceptions) is (profile == "reference")


def test_an_exception_takes_its_rule_out_and_no_other() -> None:
    kernel = config(X86)
    before = [each.option for each in broken_rules(kernel, "KERN-01", {})]
    after = [each.option for each in broken_rules(kernel, "KERN-01", {"SECURITY_YAMA": "why"})]
    assert [option for option in before if option != "SECURITY_YAMA"] == after
    assert len(after) == len(before) - 1
