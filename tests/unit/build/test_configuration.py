import json

import pytest

from everest_secure.build.configuration import Repository, parse
from everest_secure.build.errors import BuildError


def dump(**content: object) -> bytes:
    return json.dumps({"header": {"version": 20}, **content}).encode()


def test_a_lock_files_commit_comes_before_a_tag_and_a_tag_before_the_default_branch() -> None:
    repositories = parse(
        dump(
            defaults={"repos": {"branch": "scarthgap"}},
            overrides={"repos": {"locked": {"commit": "1" * 40}}},
            repos={
                "locked": {"url": "https://a/locked", "tag": "1.0"},
                "tagged": {"url": "https://a/tagged", "tag": "2.0", "path": "layers/tagged"},
                "floating": {"url": "https://a/floating"},
            },
        )
    ).repositories
    assert repositories == (
        Repository("locked", "https://a/locked", "locked", "1" * 40),
        Repository("tagged", "https://a/tagged", "layers/tagged", "2.0"),
        Repository("floating", "https://a/floating", "floating", "scarthgap"),
    )


def test_a_branch_set_to_null_is_none() -> None:
    content = dump(defaults={"repos": {"branch": "scarthgap"}}, repos={"a": {"url": "https://a/a", "branch": None, "refspec": "old"}})
    assert parse(content).repositories[0].revision == "old"


def test_the_projects_own_checkout_is_no_repository_to_fetch() -> None:
    assert parse(dump(repos={"mine": {"layers": {"meta-mine": None}}, "bare": None})).repositories == ()


@pytest.mark.parametrize(("target", "expected"), [("one", ("one",)), (["one", "two"], ("one", "two"))])
def test_one_target_may_be_written_as_a_string(target: object, expected: tuple[str, ...]) -> None:
    assert parse(dump(target=target)).targets == expected


def test_without_a_target_it_is_the_one_that_kas_takes() -> None:
    assert parse(dump()).targets == ("core-image-minimal",)


def test_a_variable_is_required_when_it_has_no_default() -> None:
    assert parse(dump(env={"KEY": None, "LEVEL": "3"})).required == {"KEY"}


def test_output_that_is_no_configuration_is_refused_in_one_sentence() -> None:
    with pytest.raises(BuildError, match="kas gave no configuration"):
        parse(b"Traceback")
