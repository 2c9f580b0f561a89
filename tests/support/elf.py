"""ELF files put together field by field, so that one property of a well built program can be taken away; nothing runs them."""

import struct
from dataclasses import dataclass

X86_64, ARM, AARCH64, RISCV, POWERPC = 62, 40, 183, 243, 21
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_STACK, PT_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
FORTIFIED = ("__stack_chk_fail", "__printf_chk", "read")


@dataclass(frozen=True, slots=True)
class Program:
    """A program as it should be; tests change one field with `dataclasses.replace`."""

    bits: int = 64
    order: str = "<"
    machine: int = X86_64
    kind: int = 3
    interpreter: bool = True
    relro: bool = True
    flags: int = 8
    """DT_FLAGS; 8 is DF_BIND_NOW."""
    flags_1: int = 0x08000001
    """DT_FLAGS_1; DF_1_NOW and DF_1_PIE."""
    bind_now: bool = False
    text_relocations: bool = False
    lazy: bool = True
    """Whether there are functions that could be resolved late."""
    writable: bool = True
    """Whether there is a segment to write to."""
    stack: int | None = 6
    """Flags of PT_GNU_STACK."""
    code_flags: int = 5
    code: int = 32 * 1024
    imports: tuple[str, ...] = FORTIFIED
    exports: tuple[str, ...] = ()
    needed: tuple[str, ...] = ("libc.so.6",)
    run_path: str | None = None
    run_path_tag: int = 29
    dynamic: bool = True
    names: tuple[str, ...] = ()
    """Of the full symbol table; empty when the program is stripped."""
    sections: bool = True
    hash_table: bool = False
    """Whether DT_HASH says how many symbols there are."""

    @property
    def content(self) -> bytes:
        """The file."""
        return _Layout(self).content()


class _Layout:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.wide = program.bits == 64
        self.word = "Q" if self.wide else "I"
        self.strings = b"\0"
        self.at: dict[str, tuple[int, int]] = {}
        self.body = b""

    def pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self.program.order + form, *values)

    def string(self, text: str) -> int:
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def symbol(self, name: str, section: int) -> bytes:
        at = self.string(name) if name else 0
        return self.pack("IBBHQQ", at, 0x12, 0, section, 0, 0) if self.wide else self.pack("IIIBBH", at, 0, 0, 0x12, 0, section)

    def place(self, name: str, content: bytes) -> None:
        self.at[name] = (self.start + len(self.body), len(content))
        self.body += content + bytes(-len(content) % 16)

    def content(self) -> bytes:
        program = self.program
        kinds = self.kinds()
        self.start = (64 + 56 * len(kinds)) if self.wide else (52 + 32 * len(kinds))
        self.start += -self.start % 16
        self.place("interp", b"/lib/ld.so\0")
        table = [
            self.symbol("", 0),
            *(self.symbol(name, 0) for name in program.imports),
            *(self.symbol(name, 7) for name in program.exports),
        ]
        entries = self.dynamic_entries(len(table))
        self.place("dynsym", b"".join(table))
        self.place("dynstr", self.strings)
        self.place("hash", self.pack("II", 1, len(table)))
        relocations = [(0, number << (32 if self.wide else 8)) for number in range(1, len(program.imports) + 1)]
        self.place("rela", b"".join(self.pack(self.word * 3, at, info, 0) for at, info in relocations))
        values = {tag: self.at[value][0] if isinstance(value, str) else value for tag, value in entries}
        values |= {10: self.at["dynstr"][1], 2: self.at["rela"][1]} if program.dynamic else {}
        self.place("dynamic", b"".join(self.pack(self.word * 2, *item) for item in values.items()) + self.pack(self.word * 2, 0, 0))
        self.strings = b"\0"
        symbols = b"".join([self.symbol("", 0), *(self.symbol(name, 7) for name in program.names)])
        self.place("symtab", symbols)
        self.place("strtab", self.strings)
        self.body += bytes(max(0, program.code - self.start - len(self.body)))
        end = self.start + len(self.body)
        headers = b"".join(self.segment(kind, flags, end) for kind, flags in kinds)
        return (self.header(len(kinds), end) + headers).ljust(self.start, b"\0") + self.body + self.section_headers()

    def kinds(self) -> list[tuple[int, int]]:
        program = self.program
        found = [(PT_LOAD, program.code_flags)]
        found += [(PT_INTERP, 4)] * program.interpreter + [(PT_LOAD, 6)] * program.writable + [(PT_DYNAMIC, 6)] * program.dynamic
        return found + [(PT_RELRO, 4)] * program.relro + ([(PT_STACK, program.stack)] if program.stack is not None else [])

    def dynamic_entries(self, count: int) -> list[tuple[int, int | str]]:
        program = self.program
        found: list[tuple[int, int | str]] = [(1, self.string(name)) for name in program.needed]
        found += [(5, "dynstr"), (6, "dynsym"), (30, program.flags), (0x6FFFFFFB, program.flags_1)]
        found += [(24, 0)] * program.bind_now + [(22, 0)] * program.text_relocations + [(4, "hash")] * program.hash_table
        found += [(23, "rela"), (20, 7)] if program.lazy else []
        return found + ([] if program.run_path is None else [(program.run_path_tag, self.string(program.run_path))])

    def segment(self, kind: int, flags: int, end: int) -> bytes:
        at, size = {
            PT_LOAD: (0, end) if flags & 1 or not flags & 2 else self.at["dynamic"],
            PT_INTERP: self.at["interp"],
            PT_DYNAMIC: self.at["dynamic"],
            PT_RELRO: self.at["dynamic"],
        }.get(kind, (0, 0))
        if self.wide:
            return self.pack("IIQQQQQQ", kind, flags, at, at, at, size, size, 16)
        return self.pack("IIIIIIII", kind, at, at, at, size, size, flags, 16)

    def header(self, segments: int, end: int) -> bytes:
        program = self.program
        identity = b"\x7fELF" + bytes([2 if self.wide else 1, 1 if program.order == "<" else 2, 1]) + bytes(9)
        sections = 5 if program.sections else 0
        sizes = (64, 56, segments, 64, sections, 0) if self.wide else (52, 32, segments, 40, sections, 0)
        phoff = sizes[0]
        return identity + self.pack(
            f"HHI{self.word * 3}I6H", program.kind, program.machine, 1, 0, phoff, end if program.sections else 0, 0, *sizes
        )

    def section_headers(self) -> bytes:
        if not self.program.sections:
            return b""
        rows = [(0, "", 0), (11, "dynsym", 2), (3, "dynstr", 0), (2 if self.program.names else 1, "symtab", 4), (3, "strtab", 0)]
        return b"".join(self.section(kind, *self.at.get(name, (0, 0)), link) for kind, name, link in rows)

    def section(self, kind: int, at: int, size: int, link: int) -> bytes:
        entry = {11: 24 if self.wide else 16, 2: 24 if self.wide else 16}.get(kind, 0)
        return self.pack("IIQQQQIIQQ" if self.wide else "IIIIIIIIII", 0, kind, 0, at, at, size, link, 0, 8, entry)
