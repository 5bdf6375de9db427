"""On which ports what is served: all on one, or the API by HTTPS and the rest beside it."""

from __future__ import annotations

import asyncio
from typing import Final

from liveconnect.api.operands import GatewayHttps
from liveconnect.common.problem import Problem
from liveconnect.common.process import Draining
from liveconnect.common.server import (
    Answer,
    Handler,
    HttpServer,
    Limits,
    Operations,
    Request,
    ServerCertificate,
    TlsFiles,
)
from liveconnect.common.settings import ServiceSettings
from liveconnect.gateway.adapters.forward import FORWARDED

_LATER: Final = {"Retry-After": "2"}


class Ports:
    """The gateway's listening side."""

    def __init__(
        self,
        api: Handler,
        operations: Operations,
        draining: Draining,
        limits: Limits,
        https: GatewayHttps | None,
    ) -> None:
        """Prepare it.

        Args:
            api: answers everything.
            operations: answers what tells of the process: probes and monitors have no certificate.
            draining: ends it.
            limits: of requests.
            https: where and how the API is served by HTTPS; plain when None.

        Raises:
            ConfigError: the files of HTTPS cannot be used.
        """
        plain = api if https is None else operations_only(operations)
        self._plain = HttpServer(plain, draining, limits)
        self._api = HttpServer(api, draining, limits)
        self._https = https
        self._certificate: ServerCertificate | None = None
        if https is not None:
            files = TlsFiles(https.certificate_file, https.key_file, https.client_authority_files)
            self._certificate = ServerCertificate("https", files)

    async def serve(self, settings: ServiceSettings) -> None:
        """Serve until drained."""
        if self._certificate is None or self._https is None:
            await self._plain.serve(settings)
            return
        following = asyncio.create_task(self._certificate.follow())
        try:
            await asyncio.gather(
                self._plain.serve(settings),
                self._api.serve(settings, self._https.port, self._certificate.context),
            )
        finally:
            following.cancel()


def operations_only(operations: Operations) -> Handler:
    """The handler of the plain port beside HTTPS."""

    def answer(request: Request) -> Answer:
        if FORWARDED in request.headers:
            # From a pod that does not know of HTTPS yet, in the middle of a rollout.
            raise Problem(503, "the API is served by HTTPS; try again", _LATER, {"sent": False})
        return operations(request)

    return answer
