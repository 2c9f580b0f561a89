"""A machine's disk and the flash of its firmware, with a log of every write and every flush of both in their order.

QEMU reaches both over a Unix socket (NBD, the protocol of network block devices: doc/proto.md of its project, fixed newstyle negotiation, simple
replies). What the log is good for says support.powercut; QEMU's own blklogwrites keeps one of each disk, and not the order between two.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, cast

DISK, FLASH = "disk", "variables"
"""Names of the exports."""
_RECORD = struct.Struct("<BQI")
_HELLO = struct.Struct(">8s8sH")
_OPTION = struct.Struct(">8sII")
_OPTION_REPLY = struct.Struct(">QIII")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_GO, _ABORT = 7, 2
_ACK, _INFO, _UNSUPPORTED = 1, 3, 0x80000001
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA = 1, 4, 8
_READ, _WRITE, _DISCONNECT, _FLUSH = range(4)
_LASTING = 1
_INVALID = 22


class Kind(IntEnum):
    """What a record is about."""

    WRITE = 0
    """A write to the disk, which its cache may hold until a flush."""
    LASTING_WRITE = 1
    """A write to the disk that lasts when it is answered (forced unit access)."""
    FLUSH = 2
    """Everything written to the disk before lasts."""
    FLASH = 3
    """A write to the firmware's flash, which has no cache."""


@dataclass(frozen=True)
class Record:
    kind: Kind
    offset: int
    content: bytes = field(repr=False)


def records(log: Path) -> Iterator[Record]:
    """Yield what was recorded, in its order."""
    with log.open("rb") as file:
        while header := file.read(_RECORD.size):
            kind, offset, length = _RECORD.unpack(header)
            yield Record(Kind(kind), offset, file.read(length))


@dataclass
class _Recorder:
    files: dict[str, BinaryIO]
    log: BinaryIO
    order: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: Kind, offset: int = 0, content: bytes = b"") -> None:
        self.log.write(_RECORD.pack(kind, offset, len(content)) + content)

    def read(self, name: str, offset: int, length: int) -> bytes:
        with self.order:
            self.files[name].seek(offset)
            return self.files[name].read(length)

    def write(self, name: str, offset: int, content: bytes, *, lasting: bool) -> None:
        with self.order:
            self.note(Kind.FLASH if name == FLASH else Kind.LASTING_WRITE if lasting else Kind.WRITE, offset, content)
            self.files[name].seek(offset)
            self.files[name].write(content)

    def flush(self, name: str) -> None:
        with self.order:
            if name == DISK:
                self.note(Kind.FLUSH)


@contextmanager
def recorder(place: Path, *, disk: Path, variables: Path, log: Path) -> Iterator[None]:
    """Serve both files, which are changed, at the Unix socket `place`, and write the log."""
    with disk.open("r+b") as first, variables.open("r+b") as second, log.open("wb") as file, socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        state = _Recorder({DISK: first, FLASH: second}, file)
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    channel, _ = server.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=_serve, args=(channel, state), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()
            place.unlink()


def _serve(channel: socket.socket, state: _Recorder) -> None:
    with channel, channel.makefile("rwb") as pair:
        stream = cast("BinaryIO", pair)
        try:
            name = _negotiate(stream, state)
            while name and _answer(stream, state, name):
                pass
        except (OSError, struct.error):
            return  # The other end is gone, as a machine whose power was cut.


def _negotiate(stream: BinaryIO, state: _Recorder) -> str:
    """Return the name of the export that the client wants; empty when it wants none."""
    stream.write(_HELLO.pack(b"NBDMAGIC", b"IHAVEOPT", _FIXED_NEWSTYLE | _NO_ZEROES))
    stream.flush()
    stream.read(4)
    while True:
        _, option, length = _OPTION.unpack(stream.read(_OPTION.size))
        content = stream.read(length)
        if option == _ABORT:
            return ""
        if option != _GO:
            _reply_to_option(stream, option, _UNSUPPORTED)
            continue
        (size,) = struct.unpack(">I", content[:4])
        name = content[4 : 4 + size].decode()
        end = state.files[name].seek(0, 2)
        _reply_to_option(stream, option, _INFO, struct.pack(">HQH", 0, end, _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA))
        _reply_to_option(stream, option, _ACK)
        return name


def _reply_to_option(stream: BinaryIO, option: int, kind: int, content: bytes = b"") -> None:
    stream.write(_OPTION_REPLY.pack(0x0003E889045565A9, option, kind, len(content)) + content)
    stream.flush()


def _answer(stream: BinaryIO, state: _Recorder, name: str) -> bool:
    """Answer one request; return whether more may come."""
    _, flags, request, handle, offset, length = _REQUEST.unpack(stream.read(_REQUEST.size))
    content, error = b"", 0
    if request == _READ:
        content = state.read(name, offset, length)
    elif request == _WRITE:
        state.write(name, offset, stream.read(length), lasting=bool(flags & _LASTING))
    elif request == _FLUSH:
        state.flush(name)
    elif request == _DISCONNECT:
        return False
    else:
        error = _INVALID
    stream.write(_REPLY.pack(0x67446698, error, handle) + content)
    stream.flush()
    return True
