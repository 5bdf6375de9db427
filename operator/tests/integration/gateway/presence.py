"""The auth service's answers about clients, over real HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass
class PresenceServer:
    """Says of each client what it was told to."""

    states: dict[str, str] = field(default_factory=dict)
    failing: bool = False
    url: str = ""
    tokens: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator[PresenceServer]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.tokens.append(self.headers.get("Authorization", ""))
                client_id = unquote(self.path.rpartition("/")[2])
                state = world.states.get(client_id)
                self.send_response(503 if world.failing else 404 if state is None else 200)
                self.end_headers()
                self.wfile.write(json.dumps(_view(client_id, state)).encode())

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def _view(client_id: str, state: str | None) -> dict[str, Any]:
    return {
        "clientId": client_id,
        "state": state or "",
        "node": "demo-subscriber-0",
        "since": "2026-11-24T03:00:00.000Z",
        "lastSeen": "2026-11-24T03:10:00.000Z",
        "staleSeconds": 0.0,
    }
