"""The client's end of TLS, from files that are replaced in place."""

from __future__ import annotations

import ssl
import time
from typing import Final

from liveconnect.api.operands import ClientTls
from liveconnect.common.logs import get_logger

_SECONDS: Final = 15.0
"""How long connections are made with what the files held."""

_log = get_logger(__name__)


def tls_context(files: ClientTls | None) -> ssl.SSLContext | None:
    """Read the files, as they are now; None without TLS.

    Raises:
        OSError: a file is missing, or is not what it should be (`ssl.SSLError` is one).
    """
    if files is None:
        return None
    context = ssl.create_default_context(cafile=files.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.certificate_file is not None:
        context.load_cert_chain(files.certificate_file, files.key_file)
    return context


def known_by(followed: FollowedContext | None) -> ssl.SSLContext | bool | None:
    """Return what aiohttp knows a server by now (its `ssl`); None if the files were never usable.

    Args:
        followed: the server's files; None where it is asked without TLS.
    """
    return True if followed is None else followed.now()


class FollowedContext:
    """How a server is known, by files that are replaced in place."""

    def __init__(self, files: ClientTls, who: str) -> None:
        """Make it.

        Args:
            files: what they are.
            who: the server, in words.
        """
        self._files = files
        self._who = who
        self._context: ssl.SSLContext | None = None
        self._read = 0.0

    def now(self) -> ssl.SSLContext | None:
        """Return what connections are made with now; None if the files were never usable."""
        if self._context is None or time.monotonic() - self._read > _SECONDS:
            try:
                self._context, self._read = tls_context(self._files), time.monotonic()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or type(error).__name__
                _log.warning("files of TLS cannot be used", server=self._who, reason=why)
        return self._context
