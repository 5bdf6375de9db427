"""An HTTP server that answers what a test wrote down, in that order."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Scripted:
    """One answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False
    """Whether the connection breaks instead."""

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """Answers with what was scripted; the last answer stays."""

    script: list[Scripted] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answers(self, *script: Scripted) -> None:
        self.script = list(script)

    def _next(self) -> Scripted:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    @contextlib.contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                named = {name.lower(): value for name, value in self.headers.items()}
                world.asked.append(Asked(self.command, self.path, named, body))
                scripted = world._next()
                if scripted.breaks:
                    reset = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    self.close_connection = True
                    return
                self.send_response(scripted.status)
                for name, value in scripted.headers.items():
                    self.send_header(name, value)
                if scripted.status != 204:
                    self.send_header("Content-Length", str(len(scripted.content)))
                self.end_headers()
                self.wfile.write(scripted.content)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the server's names

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            scheme = "http" if tls is None else "https"
            self.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
