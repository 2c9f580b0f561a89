from dataclasses import replace

import pytest

from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.parameters import ElfException
from everest_secure.policy.profile import load_profile
from support.elf import Program
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import RootFs, failing, good_root, outcomes, production

LIBRARY = "/usr/lib/libexample.so.1"
GOOD = Program(interpreter=False, flags_1=1)


def with_library(fs: RootFs, program: Program, *, mode: int = 0o644, path: str = LIBRARY) -> RootFs:
    return fs.file(path, program.content, mode=mode)


def lacking(name: str, **fields: object) -> Mutation:
    return Mutation(name, "BIN-01", lambda fs: with_library(fs, replace(GOOD, **fields)))  # type: ignore[arg-type]  # fields by name


MUTATIONS = [
    Mutation("a program is loaded at a fixed address", "BIN-01", lambda fs: fs.file("/usr/bin/a", Program(kind=2).content, mode=0o755)),
    lacking("a library changes its code when it is loaded", text_relocations=True),
    lacking("a library is bound late", flags=0, flags_1=0),
    lacking("a library has no RELRO", relro=False),
    lacking("a library does not say that its stack is data", stack=None),
    lacking("a library wants an executable stack", stack=7),
    lacking("a library's code can be written", code_flags=7),
    lacking("a large library has no stack protector", imports=("__printf_chk",)),
    lacking("a library prints without checks", imports=("__stack_chk_fail", "printf")),
    lacking("libraries are searched in the working directory", run_path="/usr/lib:"),
    lacking("libraries are searched in a relative directory", run_path="lib"),
    lacking("libraries are searched in a directory of the build machine", run_path="/build/tmp/work/lib"),
    lacking("libraries are searched below a mount", run_path="/var/lib"),
    lacking("libraries are searched by the old tag", run_path="/run/lib", run_path_tag=15),
    Mutation(
        "libraries are searched where the service user can write",
        "BIN-01",
        lambda fs: with_library(fs.directory("/usr/lib/plugins", uid=1500), replace(GOOD, run_path="/usr/lib/plugins")),
    ),
    Mutation(
        "libraries are searched beside a program in a directory of the service user's",
        "BIN-01",
        lambda fs: with_library(
            fs.directory("/opt/a", gid=1500).directory("/opt/a/b"), replace(GOOD, run_path="$ORIGIN/../lib/$LIB"), path="/opt/a/b/x.so"
        ).directory("/opt/a/lib", mode=0o775, gid=1500),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize(
    "program",
    [
        GOOD,
        replace(GOOD, run_path="$ORIGIN"),
        replace(GOOD, run_path="/usr/lib/"),
        replace(GOOD, imports=("read",), code=4096),
        replace(GOOD, kind=1, stack=None, relro=False),
        replace(GOOD, bits=32, machine=40),
    ],
)
def test_a_library_with_all_that_it_can_show_holds(program: Program) -> None:
    assert failing(with_library(good_root(), program)) == {}


def test_only_what_can_be_run_or_loaded_is_read() -> None:
    faulty = Program(kind=2)
    assert failing(good_root().file("/usr/share/firmware.elf", faulty.content)) == {}
    assert set(failing(good_root().file("/usr/share/firmware.elf", faulty.content, mode=0o755))) == {"BIN-01"}


def test_an_exception_covers_its_files_and_what_they_may_lack_and_nothing_else() -> None:
    fs = with_library(good_root(), replace(GOOD, relro=False, stack=7))
    for exception, findings in [
        (ElfException(("/usr/lib/*",), ("relro",), "why"), 1),
        (ElfException(("/usr/lib/*",), ("relro", "nx"), "why"), 0),
        (ElfException(("/usr/bin/*",), ("relro", "nx"), "why"), 2),
    ]:
        policy = replace(production(), elf_exceptions=(*production().elf_exceptions, exception))
        assert len(outcomes(fs, policy)["BIN-01"]) == findings


def test_the_compiler_s_own_libraries_are_not_accused_of_lacking_what_they_bring() -> None:
    fs = with_library(good_root(), replace(GOOD, imports=("vprintf",)), path="/usr/lib/libstdc++.so.6.0.33")
    assert failing(fs) == {}


def test_the_reference_profile_excuses_what_debian_builds_otherwise_and_no_executable_stack() -> None:
    reference = load_profile("reference", catalogue=load_catalogue()).parameters
    assert outcomes(with_library(good_root(), replace(GOOD, flags=0, flags_1=0)), reference)["BIN-01"] == ()
    assert outcomes(with_library(good_root(), replace(GOOD, stack=7)), reference)["BIN-01"] != ()


def test_a_root_without_any_program_is_an_error_and_never_a_pass() -> None:
    fs = good_root()
    for path in [path for path, (_, content) in fs.nodes.items() if content.startswith(b"\x7fELF")]:
        fs.remove(path)
    assert failing(fs)["BIN-01"][0].startswith("error: ")


def test_a_damaged_program_is_an_error_and_never_a_pass() -> None:
    fs = good_root().file(LIBRARY, GOOD.content[:200])
    assert failing(fs)["BIN-01"][0].startswith("error: ")
