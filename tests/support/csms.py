"""A CSMS as far as a charger's connection goes: TLS, and one answer to the request for a websocket."""

import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha1
from pathlib import Path
from re import IGNORECASE, search
from socket import SHUT_RDWR, create_server, socket
from threading import Thread

from support.authority import Pair

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of every websocket (RFC 6455, 1.3)."""
REFUSED = "401 Unauthorized"
BUSY = "503 Service Unavailable"
Change = Callable[[ssl.SSLContext], object]


@contextmanager
def csms(place: Path, own: Pair, *, answer: str = "", change: Change = lambda _: None, resets: bool = False) -> Iterator[int]:
    """Run a CSMS and yield its port. It takes the charger for its own unless `answer` is a status of HTTP; `change` is made to its TLS.

    One that `resets` does not wait for what a charger still says that it has refused.
    """
    (place / "csms.pem").write_text(own.pem + own.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "csms.pem")
    change(context)
    with create_server(("127.0.0.1", 0)) as listener:
        serving = Thread(target=_serve, args=(listener, context, answer, resets), daemon=True)
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # A thread in accept() keeps a closed listener alive; when its system call is restarted, it listens to whoever has the descriptor's number by then.
            listener.shutdown(SHUT_RDWR)
            serving.join()


def _serve(listener: socket, context: ssl.SSLContext, answer: str, resets: bool) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            charger = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            with suppress(OSError):
                charger.do_handshake()
                _answer(charger, answer)
            # What is closed before all is read is reset, and what was said at last is lost.
            with suppress(OSError), socket(fileno=charger.detach()) as rest:
                while not resets and rest.recv(4096):
                    pass


def _answer(charger: ssl.SSLSocket, answer: str) -> None:
    request = b""
    while b"\r\n\r\n" not in request and (part := charger.recv(4096)):
        request += part
    found = search(rb"\r\nsec-websocket-key: (\S+)", request, IGNORECASE)
    if answer:
        charger.send(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
    elif found:
        accept = b64encode(sha1(found[1] + GUID, usedforsecurity=False).digest()).decode()
        lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
        charger.send("\r\n".join([*lines, "Sec-WebSocket-Protocol: ocpp2.0.1", "", ""]).encode())
    while charger.recv(4096):
        pass
