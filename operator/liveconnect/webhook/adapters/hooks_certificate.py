"""The certificate of the hooks: the file's, whenever that changes."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final

from liveconnect.api.operands import HooksTls
from liveconnect.common.logs import get_logger
from liveconnect.common.settings import ConfigError

_LOOK_SECONDS: Final = 5.0

_log = get_logger(__name__)


class HooksCertificate:
    """A context whose next handshakes show what the files hold; connections stay."""

    def __init__(self, files: HooksTls) -> None:
        """Read the files.

        Raises:
            ConfigError: they hold no certificate with its key.
        """
        self._files = files
        self._seen = self._content()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self._load()
        except (OSError, ValueError) as error:
            raise ConfigError(f"hooks_tls: {_why(error)}") from None

    def _content(self) -> tuple[bytes, ...]:
        """What the files hold now; nothing of one that cannot be read."""
        paths = (Path(self._files.certificate_file), Path(self._files.key_file))
        return tuple(path.read_bytes() if path.is_file() else b"" for path in paths)

    def _load(self) -> None:
        self.context.load_cert_chain(self._files.certificate_file, self._files.key_file)

    async def follow(self) -> None:
        """Take renewed files until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take the files if they have changed; what cannot be used changes nothing."""
        content = self._content()
        if content == self._seen:
            return
        try:
            self._load()
        except (OSError, ValueError) as error:
            # Perhaps one of the two is new and the other is not yet: look again.
            _log.warning("the hooks' new certificate cannot be used", reason=_why(error))
            return
        self._seen = content
        _log.info("the hooks' certificate is replaced")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
