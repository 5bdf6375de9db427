"""The auth service's answers about clients, over real HTTP."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class PresenceServer:
    """Says of each client what it was told to."""

    states: dict[str, str] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    page: int = 1000
    """Clients of a page at most."""
    failing: bool = False
    url: str = ""
    tokens: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[PresenceServer]:
        """Serve it, by HTTPS with a context."""
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.tokens.append(self.headers.get("Authorization", ""))
                if self.path.startswith("/v1/clients?"):
                    self._page()
                    return
                client_id = unquote(self.path.rpartition("/")[2])
                state = world.states.get(client_id)
                self.send_response(503 if world.failing else 404 if state is None else 200)
                self.end_headers()
                self.wfile.write(json.dumps(_view(client_id, state)).encode())

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                wanted = json.loads(self.rfile.read(length))["clientIds"]
                known = [_view(one, world.states[one]) for one in wanted if one in world.states]
                self._answer({"items": known, "missing": []})

            def _page(self) -> None:
                """Clients of a prefix or group, by id; the cursor is the last one's."""
                query = dict(parse_qsl(urlsplit(self.path).query))
                if query.get("cursor") == "bad":
                    self.send_response(400)
                    self.end_headers()
                    return
                group = world.groups.get(query.get("group", ""), ())
                prefix = query.get("prefix")
                chosen = sorted(
                    one
                    for one in world.states
                    if (one in group if prefix is None else one.startswith(prefix))
                )
                left = [one for one in chosen if one > query.get("cursor", "")]
                page = left[: min(int(query["limit"]), world.page)]
                following = page[-1] if len(page) < len(left) else None
                items = [_view(one, world.states[one]) for one in page]
                self._answer({"items": items, "next": following, "changesFrom": "0-0"})

            def _answer(self, content: Any) -> None:
                self.send_response(503 if world.failing else 200)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
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


def _view(client_id: str, state: str | None) -> dict[str, Any]:
    return {
        "clientId": client_id,
        "state": state or "",
        "node": "demo-subscriber-0",
        "since": "2026-11-24T03:00:00.000Z",
        "lastSeen": "2026-11-24T03:10:00.000Z",
        "staleSeconds": 0.0,
    }
