"""The server's end of TLS: what the files hold, whenever that changes."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final

import msgspec

from liveconnect.common.logs import get_logger
from liveconnect.common.settings import ConfigError

_LOOK_SECONDS: Final = 5.0

_log = get_logger(__name__)


class TlsFiles(msgspec.Struct, frozen=True):
    """What a server shows, and whom it takes."""

    certificate: str
    """File with the certificate and its intermediates."""
    key: str
    authorities: tuple[str, ...] = ()
    """Files with the authorities of client certificates: with them, only clients that have such a
    certificate may connect."""

    def content(self) -> tuple[bytes, ...]:
        """Return what the files hold now; nothing of one that cannot be read."""
        paths = [Path(name) for name in (self.certificate, self.key, *self.authorities)]
        return tuple(path.read_bytes() if path.is_file() else b"" for path in paths)

    def context(self) -> ssl.SSLContext:
        """Return a context of what the files hold now.

        Raises:
            OSError: a file cannot be used (`ssl.SSLError` is one).
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.authorities:
            context.verify_mode = ssl.CERT_REQUIRED
        for authority in self.authorities:
            context.load_verify_locations(authority)
        return context


class _LatestContext(ssl.SSLContext):
    """Makes each connection with the latest context.

    Replacing a context's certificate would do, but not its authorities: these can only become
    more, and a client could resume a session that a withdrawn one had let in.
    """

    latest: ssl.SSLContext

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        """Begin a connection."""
        return self.latest.wrap_bio(*args, **named)


class ServerCertificate:
    """A context whose next handshakes go by what the files hold; connections stay."""

    def __init__(self, field: str, files: TlsFiles) -> None:
        """Read the files.

        Args:
            field: what of the configuration names them, for messages.
            files: the files.

        Raises:
            ConfigError: they cannot be used.
        """
        self._field = field
        self._files = files
        self._seen = files.content()
        self._context = _LatestContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            self._context.latest = files.context()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{field}: {_why(error)}") from None

    @property
    def context(self) -> ssl.SSLContext:
        """What servers are made with."""
        return self._context

    async def follow(self) -> None:
        """Take renewed files until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take the files if they have changed; what cannot be used changes nothing."""
        content = self._files.content()
        if content == self._seen:
            return
        try:
            self._context.latest = self._files.context()
        except (OSError, ValueError) as error:
            # Perhaps one of them is new and another is not yet: look again.
            _log.warning("new certificates cannot be used", field=self._field, reason=_why(error))
            return
        self._seen = content
        _log.info("certificates are replaced", field=self._field)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
