"""Programs that gcc made or the test put together, read by us and by readelf."""

import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes, from_file
from everest_secure.parse import elf_hardening as built
from everest_secure.parse.elf import DF_1_PIE, DT_FLAGS_1, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, Elf, read_elf
from support.elf import AARCH64, ARM, POWERPC, RISCV, Program
from support.images import tool

SOURCE = """
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
    char line[64];
    return printf("%s %zd\\n", words[count - 1], read(0, line, (size_t) count * 16)) + line[count];
}
"""
FLAGS = ("-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2")
LINKED = ("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack")
LIBRARY = ("-O2", "-fPIC", "-shared", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2")


def compiled(directory: Path, *options: str, source: str = SOURCE) -> Elf:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    (directory / "program.c").write_text(source)
    tool("gcc", directory / "program.c", "-o", directory / "program", *options)
    return read(directory / "program")


def read(path: Path) -> Elf:
    found = read_elf(from_file(path))
    assert found is not None
    return found


def parsed(program: Program) -> Elf:
    found = read_elf(from_bytes(program.content, "program"))
    assert found is not None
    return found


def verdict(elf: Elf) -> dict[str, bool | None]:
    return {
        "pie": built.position_independent(elf),
        "relro": built.full_relro(elf),
        "nx": built.data_is_never_code(elf),
        "stack-protector": built.stack_protector(elf, code=1),
        "fortify": built.fortified(elf),
    }


GOOD = {"pie": True, "relro": True, "nx": True, "stack-protector": True, "fortify": True}
BROKEN = {
    "for a fixed address": ({"pie": False}, ("-fno-PIE", "-no-pie")),
    "bound late": ({"relro": False}, ("-Wl,-z,lazy",)),
    "without RELRO": ({"relro": False}, ("-Wl,-z,norelro",)),
    "with an executable stack": ({"nx": False}, ("-Wl,-z,execstack",)),
    "without the stack protector": ({"stack-protector": False}, ("-fno-stack-protector",)),
    "without fortified functions": ({"fortify": False}, ("-U_FORTIFY_SOURCE",)),
}


def test_a_program_that_gcc_hardened_has_everything(tmp_path: Path) -> None:
    elf = compiled(tmp_path, *FLAGS, *LINKED)
    assert verdict(elf) == GOOD
    assert built.is_program(elf)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_program_built(tmp_path: Path, fault: str) -> None:
    lacks, options = BROKEN[fault]
    assert verdict(compiled(tmp_path, *FLAGS, *LINKED, *options)) == {**GOOD, **lacks}


def test_a_library_is_judged_like_a_program_and_is_none(tmp_path: Path) -> None:
    elf = compiled(tmp_path, *LIBRARY, *LINKED)
    assert verdict(elf) == GOOD
    assert not built.is_program(elf)


def test_a_static_pie_has_no_interpreter_and_is_told_by_its_symbols(tmp_path: Path) -> None:
    elf = compiled(tmp_path, *FLAGS, *LINKED, "-static-pie")
    assert verdict(elf) == {**GOOD, "fortify": None}
    assert built.is_program(elf)
    tool("strip", tmp_path / "program")
    assert verdict(read(tmp_path / "program")) == {**GOOD, "stack-protector": None, "fortify": None}


def test_a_static_program_for_a_fixed_address_lacks_that_alone(tmp_path: Path) -> None:
    assert verdict(compiled(tmp_path, *FLAGS, *LINKED, "-static", "-no-pie")) == {**GOOD, "pie": False, "fortify": None}


def test_an_object_without_functions_to_protect_shows_nothing_and_is_not_accused(tmp_path: Path) -> None:
    elf = compiled(tmp_path, *LIBRARY, *LINKED, source="int answer(void) { return 42; }\n")
    assert built.stack_protector(elf, code=16384) is None
    assert built.fortified(elf) is None


@pytest.mark.parametrize("tag", ["--enable-new-dtags", "--disable-new-dtags"])
def test_search_paths_are_those_of_either_tag(tmp_path: Path, tag: str) -> None:
    elf = compiled(tmp_path, *FLAGS, f"-Wl,{tag}", "-Wl,-rpath,/tmp:$ORIGIN/../lib::.")
    assert elf.run_paths == ("/tmp", "$ORIGIN/../lib", "", ".")


@pytest.mark.parametrize(
    ("bits", "order", "machine"), [(64, "<", AARCH64), (64, "<", RISCV), (32, "<", ARM), (32, ">", POWERPC), (64, ">", 22)]
)
def test_every_class_and_byte_order_is_read_alike(tmp_path: Path, bits: int, order: str, machine: int) -> None:
    program = Program(bits=bits, order=order, machine=machine, run_path="/a:/b", exports=("__memcpy_chk",))
    elf = parsed(program)
    assert (elf.bits, elf.machine, elf.needed, elf.run_paths) == (bits, machine, ("libc.so.6",), ("/a", "/b"))
    assert elf.imports == frozenset(program.imports)
    assert verdict(elf) == GOOD
    (tmp_path / "program").write_bytes(program.content)
    assert said_by_readelf(tmp_path / "program") == said(elf)


NOW = replace(Program(), flags=0, flags_1=DF_1_PIE)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (NOW, False),
        (replace(NOW, flags=8), True),
        (replace(NOW, flags_1=DF_1_PIE | 1), True),
        (replace(NOW, bind_now=True), True),
        (replace(NOW, lazy=False), True),
        (replace(NOW, lazy=False, relro=False), False),
        (replace(NOW, relro=False, writable=False), True),
        (replace(NOW, dynamic=False), True),
    ],
)
def test_functions_are_bound_at_start_by_any_of_three_words_or_because_there_are_none(program: Program, expected: bool) -> None:
    assert built.full_relro(parsed(program)) is expected


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (Program(), True),
        (replace(Program(), stack=None), False),
        (replace(Program(), stack=7), False),
        (replace(Program(), code_flags=7), False),
    ],
)
def test_memory_is_written_or_executed_and_never_both(program: Program, expected: bool) -> None:
    assert built.data_is_never_code(parsed(program)) is expected


@pytest.mark.parametrize(
    ("imports", "needed", "expected"),
    [
        (("__printf_chk", "printf"), ("libc.so.6",), True),
        (("printf",), ("libc.so.6",), False),
        (("printf",), ("libc.so",), None),
        (("memcpy", "read"), ("libc.so.6",), None),
        ((), ("libc.so.6",), None),
    ],
)
def test_fortified_functions_are_there_or_missing_or_nothing_shows(
    imports: tuple[str, ...], needed: tuple[str, ...], expected: bool | None
) -> None:
    assert built.fortified(parsed(replace(Program(), imports=imports, needed=needed))) is expected


def test_a_library_that_defines_checking_functions_does_not_use_them() -> None:
    assert built.fortified(parsed(replace(Program(), imports=("syslog",), exports=("__printf_chk",)))) is False


def test_text_relocations_make_a_library_position_dependent() -> None:
    assert not built.position_independent(parsed(replace(Program(), text_relocations=True)))
    assert not built.position_independent(parsed(replace(Program(), flags=8 | 4)))


@pytest.mark.parametrize("hash_table", [True, False])
@pytest.mark.parametrize("bits", [32, 64])
def test_imports_are_found_without_section_headers(hash_table: bool, bits: int) -> None:
    program = Program(sections=False, hash_table=hash_table, bits=bits, machine=ARM if bits == 32 else AARCH64)
    assert parsed(program).imports == frozenset(program.imports)


def test_the_protector_of_a_program_without_dynamic_section_is_in_its_symbol_table() -> None:
    assert built.stack_protector(parsed(replace(Program(), dynamic=False, names=("main", "__stack_chk_fail"))), code=1) is True
    assert built.stack_protector(parsed(replace(Program(), dynamic=False, names=("main",))), code=1) is False
    assert built.stack_protector(parsed(replace(Program(), dynamic=False)), code=1) is None


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" + b"x" * 99])
def test_what_is_no_elf_is_none(content: bytes) -> None:
    assert read_elf(from_bytes(content, "x")) is None


def test_damage_ends_in_a_sentence_or_a_result() -> None:
    whole = Program(run_path="/a", code=0).content
    damaged = [whole[:at] + bytes([value]) + whole[at + 1 :] for at in range(len(whole)) for value in (0, 0xFF, whole[at] ^ 0x80)]
    assert len(list(filter(None, map(sentence, damaged)))) > 100
    assert len(list(filter(None, map(sentence, (whole[:size] for size in range(64, len(whole))))))) > 100


def test_names_that_share_one_long_end_are_not_copied_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everest_secure.parse.elf.MAX_STRINGS", 10_000)
    assert sentence(replace(Program(), imports=("a" * 5000, "b" * 4000)).content) == ""
    shared = bytearray(replace(Program(), imports=("a" * 9000, "b", "c")).content)
    first, second = (shared.index(struct.pack("<IBB", at, 0x12, 0)) for at in (1, 9002))
    struct.pack_into("<I", shared, second, 2)
    assert first < second
    assert "damaged ELF" in sentence(bytes(shared))


def sentence(content: bytes) -> str:
    try:
        read_elf(from_bytes(content, "program"))
    except ArtefactError as error:
        return str(error)
    return ""


def said(elf: Elf) -> dict[str, object]:
    stack = elf.segment(PT_GNU_STACK)
    return {
        "imports": elf.imports,
        "needed": elf.needed,
        "run_paths": elf.run_paths,
        "interpreter": elf.segment(PT_INTERP) is not None,
        "relro": elf.segment(PT_GNU_RELRO) is not None,
        "pie flag": bool(elf.last(DT_FLAGS_1) & DF_1_PIE),
        "bound": built.bound_at_start(elf),
        "stack": None if stack is None else bool(stack.flags & PF_X),
    }


def said_by_readelf(path: Path) -> dict[str, object]:
    run = subprocess.run(["readelf", "-W", "-l", "-d", "--dyn-syms", path], capture_output=True, text=True, check=True)
    text = run.stdout
    stack = re.search(r"GNU_STACK .* (R?W?E?) +0x\w+$", text, re.MULTILINE)
    symbols = re.findall(r"^ +\d+: \S+ +\d+ \S+ +\S+ +\S+ +(?:\[.*\] +)?UND (\S+?)(?:@.*)?$", text, re.MULTILINE)
    return {
        "imports": frozenset(symbols),
        "needed": tuple(re.findall(r"\(NEEDED\) .*\[(.*)\]", text)),
        "run_paths": tuple(part for found in re.findall(r"\(R(?:UN)?PATH\) .*\[(.*)\]", text) for part in found.split(":")),
        "interpreter": "INTERP " in text,
        "relro": "GNU_RELRO" in text,
        "pie flag": bool(re.search(r"\(FLAGS_1\).* PIE", text)),
        "bound": bool(re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*NOW|\(BIND_NOW\)", text)) or "(JMPREL)" not in text,
        "stack": None if stack is None else "E" in stack[1],
    }


def test_readelf_says_the_same_of_programs_of_this_machine() -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed")
    files = sorted(Path("/usr/bin").iterdir())[::25] + sorted(Path("/usr/lib").glob("*-linux-gnu/*.so.*"))[::25]
    programs = [path for path in files if path.is_file() and path.stat().st_size and path.open("rb").read(4) == b"\x7fELF"]
    assert len(programs) > 20
    for path in programs:
        elf = read(path)
        if elf.imports is not None:
            assert said(elf) == said_by_readelf(path), path


@pytest.mark.parametrize("place", [4, 5])
def test_a_program_of_no_known_class_or_byte_order_is_not_passed_over_as_linux_starts_it(place: int) -> None:
    content = bytearray(Program().content)
    content[place] = 9
    with pytest.raises(ArtefactError, match="no known class or byte order"):
        read_elf(from_bytes(bytes(content), "a"))
