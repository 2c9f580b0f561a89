import pytest

from support.mutation import Mutation, check_mutation, sentence

RELEASE = "/etc/everest/everest_release.json"

MUTATIONS = [
    Mutation("the release file is missing", "LOG-04", lambda fs: fs.remove(RELEASE)),
    Mutation(
        "the version is what a recipe without version says",
        "LOG-04",
        lambda fs: fs.replace(RELEASE, '"version": "2026.02.1", ', '"version": "git", '),
    ),
    Mutation("the channel is unknown", "LOG-04", lambda fs: fs.replace(RELEASE, '"release"', '"unknown"')),
    Mutation(
        "a component has no version", "LOG-04", lambda fs: fs.replace(RELEASE, '"everest-core", "version": "2026.02.1"', '"everest-core"')
    ),
    Mutation(
        "a component's version is what a recipe without version says, with a revision",
        "LOG-04",
        lambda fs: fs.replace(RELEASE, '"everest-core", "version": "2026.02.1"', '"everest-core", "version": "git-r0"'),
    ),
    Mutation(
        "the version is a variable that BitBake does not know",
        "LOG-04",
        lambda fs: fs.replace(RELEASE, '"version": "2026.02.1", ', '"version": "${EVEREST_VERSION}", '),
    ),
    Mutation("the release file is a list", "LOG-04", lambda fs: fs.file(RELEASE, "[]")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)
