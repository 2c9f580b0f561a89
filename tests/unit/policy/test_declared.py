from pathlib import Path

import pytest

from everest_secure.errors import PolicyError
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.declared import EverestIs, FileIs, PackageIs
from everest_secure.policy.profile import Policy, load_policy

CATALOGUE = load_catalogue()
HEAD = "extends: production\nchecks:\n- id: METER-01\n  title: The meter is safe\n  why: Bills.\n  remedy: Mend it.\n  severity: high\n  expect:\n"


def loaded(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "my.yml"
    path.write_text(text)
    return load_policy(path, catalogue=CATALOGUE)


def test_a_requirement_of_the_product_is_read_with_its_place(tmp_path: Path) -> None:
    text = HEAD + (
        '  - {kind: file, path: /etc/m, mode: "0640", owner: root}\n'
        '  - {kind: package, name: meter, version: ">= 1.2"}\n'
        "  - {kind: everest, module: meter, key: main.port, value: 5}\n"
    )
    (declared,) = loaded(tmp_path, text).declared
    assert declared.where == f"{tmp_path}/my.yml:3"
    assert (declared.requirement.id, declared.requirement.requirement) == ("METER-01", "The meter is safe.")
    assert declared.conditions == (FileIs("/etc/m", 0o640, "root", ""), PackageIs("meter", ">=", "1.2"), EverestIs("meter", "main.port", 5))


def test_a_waiver_may_cover_a_requirement_of_the_product(tmp_path: Path) -> None:
    waiver = "waivers:\n- {id: METER-01, reason: r, owner: o, expires: 2027-01-01}\n"
    policy = loaded(tmp_path, HEAD + "  - {kind: no-file, path: /x}\n" + waiver)
    assert [each.requirement for each in policy.waivers] == ["METER-01"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("{kind: fiel, path: /x}", "9: checks[0].expect[0].kind: \"fiel\" is not known; did you mean 'file'?"),
        ("{path: /x}", "9: checks[0].expect[0]: the key 'kind' is missing"),
        ("{kind: file}", "9: checks[0].expect[0]: the key 'path' is missing"),
        ("{kind: file, path: x}", '9: checks[0].expect[0].path: "x" is not an absolute path'),
        ("{kind: file, path: /x, mode: 644}", "9: checks[0].expect[0].mode: must be text, not 644"),
        ('{kind: file, path: /x, mode: "rw"}', '9: checks[0].expect[0].mode: "rw" is not an octal mode in quotes'),
        ("{kind: no-file, path: /x, mode: '0644'}", "9: checks[0].expect[0].mode: unknown key"),
        ("{kind: package, name: a, version: '1.2'}", '9: checks[0].expect[0].version: "1.2" is not a relation and a version'),
        ("{kind: unit, name: a.service, state: on}", "9: checks[0].expect[0].state: true is not known; known are enabled"),
        ("{kind: kernel, option: BPF, value: yes}", "9: checks[0].expect[0].value: must be text, not true"),
        ("{kind: kernel, option: 'B F', value: 'y'}", '9: checks[0].expect[0].option: "B F" is not an option of the kernel'),
        ("{kind: everest, key: a, value: [1]}", "9: checks[0].expect[0].value: must be text or a number or true or false, not [1]"),
        ("{kind: text, path: /x}", "9: checks[0].expect[0]: needs one of 'contains' and 'lacks'"),
        ("{kind: text, path: /x, contains: a, lacks: b}", "9: checks[0].expect[0]: needs one of 'contains' and 'lacks'"),
        ("{kind: text, path: /x, contains: '('}", "9: checks[0].expect[0].contains: is no regular expression"),
        ("{kind: text, path: /x, contains: '(a+)+$'}", "9: checks[0].expect[0].contains: repeats something that is repeated itself"),
    ],
)
def test_a_wrong_condition_is_refused_with_file_line_and_key(tmp_path: Path, condition: str, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, f"{HEAD}  - {condition}\n")
    assert str(error.value).startswith(f"{tmp_path}/my.yml:{message}"), str(error.value)


CONDITION = "  - {kind: no-file, path: /x}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("METER-01", "NET-10") + CONDITION, "3: checks[0].id: 'NET' is a family of the project's own catalogue"),
        (HEAD.replace("METER-01", "meter1") + CONDITION, '3: checks[0].id: "meter1" is not an ID such as NET-01'),
        (HEAD.replace("  why: Bills.\n", "") + CONDITION, "3: checks[0]: the key 'why' is missing"),
        (HEAD.replace("severity: high", "severity: huge") + CONDITION, "7: checks[0].severity: \"huge\" is not known"),
        (HEAD.replace("  expect:\n", "  expect: []\n"), "8: checks[0].expect: must not be empty"),
        (HEAD + CONDITION + HEAD.partition("checks:\n")[2] + CONDITION, "10: checks[1].id: 'METER-01' is there twice"),
    ],
)  # fmt: skip
def test_a_wrong_requirement_is_refused_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/my.yml:{message}"), str(error.value)


def test_the_catalogue_of_a_run_has_the_product_s_group_behind_its_own(tmp_path: Path) -> None:
    declared = loaded(tmp_path, HEAD + CONDITION).declared
    catalogue = CATALOGUE.extended([each.requirement for each in declared])
    assert catalogue.groups == (*CATALOGUE.groups, "The product's own")
    assert catalogue.get("METER-01").title == "The meter is safe"
