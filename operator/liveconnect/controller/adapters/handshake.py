"""What the nodes' listeners really show: a TLS handshake with each, as a client makes it."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_SECONDS = 3.0
#: How long an answer is believed while all is as it should be.
_TRUST = timedelta(seconds=30)
_NEVER = datetime.min.replace(tzinfo=UTC)
_Port = tuple[str, int]


def _context() -> ssl.SSLContext:
    """Takes every certificate: it is looked at, nothing is sent over the connection.

    TLS 1.3, because there a client has seen the certificate and is done before the server asks for
    the client's own, so that a listener with mutual TLS can be looked at without having one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


class Handshakes:
    """Asks the listeners of one cluster object for their certificates."""

    def __init__(self) -> None:
        self._context = _context()
        self._asked: list[tuple[str, str, int]] = []
        self._shown: dict[_Port, str] = {}
        self._again = _NEVER

    async def observe(
        self, ports: Iterable[tuple[str, str, int]], now: datetime, *, stale: bool
    ) -> dict[_Port, str]:
        """Fingerprint by pod and port, empty where the handshake failed.

        Args:
            ports: pod, its address, port. Ports that nobody listens on are left out of the answer.
            now: The time of the pass.
            stale: Whether something else was shown than should be: then ask in any case.
        """
        asked = list(ports)
        if stale or now >= self._again or asked != self._asked:
            self._shown = await self._ask(asked)
            self._asked, self._again = asked, now + _TRUST
        return self._shown

    async def _ask(self, asked: list[tuple[str, str, int]]) -> dict[_Port, str]:
        shown = await asyncio.gather(*(self._fingerprint(ip, port) for _, ip, port in asked))
        return {
            (pod, port): fingerprint
            for (pod, _, port), fingerprint in zip(asked, shown, strict=True)
            if fingerprint is not None
        }

    async def _fingerprint(self, ip: str, port: int) -> str | None:
        try:
            async with asyncio.timeout(_SECONDS):
                _, writer = await asyncio.open_connection(ip, port)
        except (OSError, TimeoutError):
            return None
        try:
            await writer.start_tls(self._context, ssl_handshake_timeout=_SECONDS)
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return hashlib.sha256(certificate).hexdigest()
        except (OSError, TimeoutError):
            return ""
        finally:
            writer.transport.abort()
