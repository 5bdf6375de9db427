"""Presence, put together: store, queue, and the audit."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from liveconnect.api.operands import AuthConfig
from liveconnect.common.settings import ConfigError
from liveconnect.webhook.adapters.brokers import Brokers
from liveconnect.webhook.adapters.presence_changes import PresenceChanges
from liveconnect.webhook.adapters.presence_directory import PresenceDirectory
from liveconnect.webhook.adapters.presence_queue import PresenceQueue
from liveconnect.webhook.adapters.presence_store import PresenceStore, Retention
from liveconnect.webhook.adapters.store_connection import StoreConnection
from liveconnect.webhook.adapters.store_marks import StoreMarks
from liveconnect.webhook.adapters.store_url import StoreUrl, StoreUrlError
from liveconnect.webhook.auditor import Auditor
from liveconnect.webhook.notifier import Notifier


class PresenceParts(msgspec.Struct, frozen=True):
    """What the rest of the service needs of presence."""

    connection: StoreConnection
    store: PresenceStore
    directory: PresenceDirectory
    changes: PresenceChanges
    marks: StoreMarks
    queue: PresenceQueue
    auditor: Auditor | None
    notifier: Notifier | None

    @classmethod
    def of(cls, config: AuthConfig, session: aiohttp.ClientSession) -> PresenceParts:
        """Make all of it.

        Raises:
            ConfigError: the store's URL cannot be used.
        """
        connection = connect_store(config)
        store = PresenceStore(connection, _retention(config))
        directory, marks = PresenceDirectory(connection, store), StoreMarks(connection)
        auditor = None
        if config.brokers is not None:
            auditor = Auditor(Brokers(session, config.brokers), store, directory, marks)
        changes, queue = PresenceChanges(connection), PresenceQueue(store, marks)
        notifier = None
        if config.presence.webhook is not None:
            source = f"/liveconnect/{config.cluster}"
            webhook = config.presence.webhook
            notifier = Notifier(session, webhook, source, changes, marks, time.time)
        return cls(connection, store, directory, changes, marks, queue, auditor, notifier)

    def background(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Give what runs as long as the service."""
        yield self.queue.run()
        if self.auditor is not None:
            yield self.auditor.run()
        if self.notifier is not None:
            yield self.notifier.run()

    async def close(self) -> None:
        """Close the store's connections."""
        await self.connection.close()


def connect_store(config: AuthConfig) -> StoreConnection:
    """Return a connection to the store of the configuration; nothing is connected yet.

    Raises:
        ConfigError: the URL cannot be read or used.
    """
    path = Path(config.presence_url_file)
    try:
        url = StoreUrl.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}") from None
    except StoreUrlError as error:
        raise ConfigError(f"{path}: the URL of the presence store {error}") from None
    return StoreConnection(url, f"lc:{config.cluster}", config.presence.store_ca_file)


def _retention(config: AuthConfig) -> Retention:
    return Retention(
        forget_seconds=config.presence.forget_seconds,
        history_seconds=config.presence.history_seconds,
    )
