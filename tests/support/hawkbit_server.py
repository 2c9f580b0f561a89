"""The device's side of a hawkBit server, its Direct Device Integration API: what a test lets it answer, behind TLS.

As a program it waits in a network namespace for one request, and prints it.
"""

import json
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from socket import create_server, socket
from typing import Any

from support.authority import Pair

PATIENCE = 30
"""Seconds after which something does not come any more."""
IDLE: Mapping[str, Any] = {"config": {"polling": {"sleep": "00:05:00"}}, "_links": {}}
"""What a device is told for which there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and who sent it."""

    line: str
    """Method and path."""
    body: Any
    """The JSON that it carried; None without any."""
    by: str
    """Common name in the certificate of whoever sent it; empty when none was asked for."""
    protocol: str
    """Version of TLS."""


class HawkbitServer:
    """A port that stays the same, and servers on it one after the other."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Take a port of this machine, any free one without a number."""
        self.socket: socket = create_server((address, port))
        self.port: int = self.socket.getsockname()[1]
        self.requests: Queue[Request] = Queue()
        self.failures: Queue[str] = Queue()
        """Why connections came to nothing, in OpenSSL's words."""

    def taken(self) -> list[Request]:
        """Return the requests since this was asked the last time."""
        return [self.requests.get() for _ in range(self.requests.qsize())]

    def failed(self) -> list[str]:
        """Return the same of connections that came to nothing."""
        return [self.failures.get() for _ in range(self.failures.qsize())]

    def failure(self) -> str:
        """Wait for a connection that comes to nothing, and return why; the test fails when none does."""
        try:
            return self.failures.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError(f"no connection came to nothing; requests: {self.taken()}") from None

    @contextmanager
    def answering(self, context: ssl.SSLContext, answers: Mapping[str, Any]) -> Iterator[None]:
        """Answer GET requests by their path with bytes or JSON, and 404 where there is nothing for it; what a device reports is taken.

        A test that fails meanwhile also says why connections came to nothing, since the server learns more of that than a device says.
        """
        self.taken()
        self.failed()
        try:
            with self._serving(context, answers):
                yield
        except AssertionError as error:
            error.add_note(f"connections that came to nothing: {self.failed()}")
            raise

    @contextmanager
    def _serving(self, context: ssl.SSLContext, answers: Mapping[str, Any]) -> Iterator[None]:
        http = _Http(self, context, answers)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            http.shutdown()
            thread.join()
            http.server_close()  # waits for all that was being answered


class _Http(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, owner: HawkbitServer, context: ssl.SSLContext, answers: Mapping[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = owner.socket.dup()
        self.owner, self.context, self.answers = owner, context, answers

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep why a connection came to nothing; the handshake is made by the thread of the connection."""
        del request, client_address
        self.owner.failures.put(str(sys.exception()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: _Http

    def setup(self) -> None:
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path)
        self._serve(404 if answer is None else 200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def do_PUT(self) -> None:
        self._serve(200, b"")

    def do_POST(self) -> None:
        self._serve(200, b"")

    def _serve(self, status: int, answer: bytes) -> None:
        """Answer, and note the request then: who sees it knows that it was answered."""
        certificate = self.request.getpeercert() or {}
        name = "".join(value for part in certificate.get("subject", ()) for key, value in part if key == "commonName")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        line = f"{self.command} {self.path}"
        self.server.owner.requests.put(Request(line, json.loads(body) if body else None, name, self.request.version()))

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


def tls(place: Path, own: Pair, *, clients: Pair | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Return what a server of a certificate accepts: with `clients` only who shows a certificate of that authority, and one version of TLS or any.

    `place` is a directory for the files that OpenSSL reads.
    """
    (place / "server.pem").write_text(own.pem + own.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "server.pem")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def main() -> None:
    """Tell devices that there is nothing to do until one has asked; the arguments are a directory with certificates, a port and the device's path."""
    place, port, path = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=place / "devices.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(place / "server.pem")
    server = HawkbitServer("192.0.2.2", port)
    with server.answering(context, {path: IDLE}):
        request = server.requests.get(timeout=4 * PATIENCE)
        print(f"{request.line} by {request.by}, {request.protocol}", flush=True)


if __name__ == "__main__":
    main()
