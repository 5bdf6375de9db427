"""How the gateway's pods know each other, where they speak HTTPS."""

from __future__ import annotations

import ssl
import time
from typing import Final

from liveconnect.api.operands import GatewayHttps
from liveconnect.common.logs import get_logger
from liveconnect.gateway.adapters.clienttls import tls_context

_CONTEXT_SECONDS: Final = 15.0
"""How long connections are made with what the files held."""

_log = get_logger(__name__)


class PeerContext:
    """How other pods are known, by files that are replaced in place."""

    def __init__(self, https: GatewayHttps) -> None:
        self._files = https.peer
        self._context: ssl.SSLContext | None = None
        self._read = 0.0

    def now(self) -> ssl.SSLContext | None:
        """Return what connections are made with now; None if the files cannot be used."""
        if self._context is None or time.monotonic() - self._read > _CONTEXT_SECONDS:
            try:
                self._context, self._read = tls_context(self._files), time.monotonic()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or type(error).__name__
                _log.warning("the files by which pods know each other cannot be used", reason=why)
        return self._context
