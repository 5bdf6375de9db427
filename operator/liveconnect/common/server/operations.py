"""What every service answers about itself: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from liveconnect.common.metrics import exposition
from liveconnect.common.problem import Problem
from liveconnect.common.process import Draining, Readiness
from liveconnect.common.server.message import Request, Response

_OK: Final = b'{"status":"ok"}'


class Operations:
    """A handler for what is no business of the service's own."""

    def __init__(
        self,
        ready: Readiness,
        draining: Draining,
        further: Mapping[str, Callable[[Request], Response]] | None = None,
    ) -> None:
        """Make the handler.

        Args:
            ready: asked by `/readyz`.
            draining: a process that was told to end is not ready.
            further: other paths that tell of the service itself, and what they answer.
        """
        self._ready = ready
        self._draining = draining
        self._answers: dict[str, Callable[[Request], Response]] = {
            "/healthz": _healthz,
            "/readyz": self._readyz,
            "/metrics": _metrics,
            **(further or {}),
        }

    def __call__(self, request: Request) -> Response:
        """Answer.

        Raises:
            Problem: 404 for every other path, 405 for every method but GET and HEAD.
        """
        answer = self._answers.get(request.path)
        if answer is None:
            raise Problem(404, "no such resource")
        require_get(request)
        return answer(request)

    def _readyz(self, _request: Request) -> Response:
        reason = "draining" if self._draining else self._ready()
        if reason is None:
            return Response(_OK)
        return Response(msgspec.json.encode({"status": "not ready", "reason": reason}), 503)


def require_get(request: Request) -> None:
    """Let requests pass that only read.

    Raises:
        Problem: 405 for all others.
    """
    if request.method not in {"GET", "HEAD"}:
        raise Problem(405, "only GET and HEAD", {"Allow": "GET, HEAD"})


def _healthz(_request: Request) -> Response:
    return Response(_OK)


def _metrics(request: Request) -> Response:
    body, content_type = exposition(request.headers.get(b"accept", b"").decode("latin-1"))
    return Response(body, content_type=content_type)
