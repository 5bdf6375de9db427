"""A webhook endpoint that notes what it is asked and answers as told."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a hook gets."""

    body: str = '{"result":"ok"}'
    status: int = 200
    delay: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One request."""

    hook: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # a node opens a hundred connections at once


@dataclass
class HookServer:
    """Answers *ok* unless told otherwise for a hook."""

    answers: dict[str, Answer] = field(default_factory=dict)
    connects: dict[str, Answer] = field(default_factory=dict)
    """What single clients get who connect, by their ids."""
    asked: list[Asked] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                hook = self.headers["vernemq-hook"]
                asked = Asked(hook, self.path, dict(self.headers.items()), json.loads(raw))
                outer.asked.append(asked)
                answer = outer.answer(asked)
                time.sleep(answer.delay)
                content = answer.body.encode()
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing: what was asked is noted."""

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, TimeoutError):
                    return  # the broker gave up waiting, as it should

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, asked: Asked) -> Answer:
        """What a request gets."""
        if asked.hook.startswith("auth_on_register") and asked.body["client_id"] in self.connects:
            return self.connects[asked.body["client_id"]]
        return self.answers.get(asked.hook, Answer())

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme = "https" if self.tls is not None else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def hooks(self, client_id: str) -> list[str]:
        """The hooks of one client, in order of arrival."""
        return [a.hook for a in self.asked if a.body["client_id"] == client_id]

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
