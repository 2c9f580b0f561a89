"""What hardening a program or shared object was built with, as far as its file shows it.

Stack protector and fortified functions leave traces only where the compiler had something to protect: a file without them proves something
only under the conditions that are said here, and otherwise nothing (`None`).
"""

from everest_secure.parse.elf import (
    DF_1_NOW,
    DF_1_PIE,
    DF_BIND_NOW,
    DF_TEXTREL,
    DT_BIND_NOW,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_JMPREL,
    DT_TEXTREL,
    PF_W,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_RELRO,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    Elf,
    Kind,
)

_NARROW = (
    "printf",
    "fprintf",
    "vprintf",
    "vfprintf",
    "dprintf",
    "vdprintf",
    "sprintf",
    "snprintf",
    "vsprintf",
    "vsnprintf",
    "asprintf",
    "vasprintf",
)
_WIDE = ("wprintf", "fwprintf", "vwprintf", "vfwprintf", "swprintf", "vswprintf")
ALWAYS_FORTIFIED = frozenset((*_NARROW, *_WIDE, "syslog", "vsyslog", "longjmp", "_longjmp", "siglongjmp"))
"""Functions that glibc's headers replace whatever their arguments (bits/stdio2.h, syslog.h, setjmp2.h, wchar2.h), so that a call of one is a call
without _FORTIFY_SOURCE. All others (memcpy, read ...) are replaced only where the compiler knows the size of the buffer."""
GLIBC = ("libc.so.6",)
"""Names under which glibc is linked; other C libraries have no fortified functions to import."""


def position_independent(elf: Elf) -> bool:
    """Whether it can be loaded at any address without changing its code: a PIE, a static PIE or a library without text relocations."""
    return elf.kind == Kind.SHARED and not (DT_TEXTREL in elf.dynamic or elf.last(DT_FLAGS) & DF_TEXTREL)


def is_program(elf: Elf) -> bool:
    """Whether it is run itself: it names an interpreter, or says that it is a PIE, or is of the old kind."""
    return elf.kind == Kind.EXECUTABLE or elf.segment(PT_INTERP) is not None or bool(elf.last(DT_FLAGS_1) & DF_1_PIE)


def bound_at_start(elf: Elf) -> bool:
    """Whether ld.so resolves every function before the program runs: DF_BIND_NOW, DF_1_NOW or DT_BIND_NOW, or there is none to resolve later."""
    told = elf.last(DT_FLAGS) & DF_BIND_NOW or elf.last(DT_FLAGS_1) & DF_1_NOW or DT_BIND_NOW in elf.dynamic
    return bool(told) or DT_JMPREL not in elf.dynamic


def full_relro(elf: Elf) -> bool:
    """Whether what ld.so writes is read-only afterwards; also true when nothing in it can be written at all."""
    writable = any(segment.type == PT_LOAD and segment.flags & PF_W for segment in elf.segments)
    return not writable or (elf.segment(PT_GNU_RELRO) is not None and (elf.segment(PT_DYNAMIC) is None or bound_at_start(elf)))


def data_is_never_code(elf: Elf) -> bool:
    """Whether neither the stack nor a segment is both writable and executable; ld.so takes a missing PT_GNU_STACK for an executable one."""
    stack = elf.segment(PT_GNU_STACK)
    mixed = any(segment.type == PT_LOAD and segment.flags & (PF_W | PF_X) == PF_W | PF_X for segment in elf.segments)
    return stack is not None and not stack.flags & PF_X and not mixed


def stack_protector(elf: Elf, *, code: int) -> bool | None:
    """Whether functions check their stack frame (-fstack-protector).

    A file that shows none is taken to have none from `code` bytes of code on: smaller ones may have no function with an array. None when that,
    or a stripped static program, leaves it open.
    """
    names = elf.imports or elf.names
    if names and ("__stack_chk_fail" in names or any(name.startswith("__stack_chk_") for name in names)):
        return True
    size = sum(segment.size for segment in elf.segments if segment.type == PT_LOAD and segment.flags & PF_X)
    return False if names and size >= code else None


def fortified(elf: Elf) -> bool | None:
    """Whether calls of the C library check their buffers (-D_FORTIFY_SOURCE). None when it calls nothing by which to tell."""
    if not elf.imports or not set(elf.needed).intersection(GLIBC):
        return None
    if any(name.endswith("_chk") for name in elf.imports):
        return True
    return False if elf.imports & ALWAYS_FORTIFIED else None
