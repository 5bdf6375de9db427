"""The connection to Redis or Valkey: one server, Sentinel or cluster."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from liveconnect.webhook.adapters.keyspace import Keyspace
from liveconnect.webhook.adapters.store_url import StoreUrl, Topology

_TIMEOUT_SECONDS: Final = 2.0
_CLUSTER_SHARDS: Final = 16
_CLUSTER_ATTEMPTS: Final = 2
"""More than elsewhere: after a fail-over the first attempt learns who has the slots now."""

_FAILURES: Final = (RedisError, RedisClusterException, OSError)


class StoreUnavailableError(Exception):
    """The store cannot be asked; the message says why, without the URL and its password."""


class Script:
    """A Lua script and its digest, by which the store knows it after the first time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_RUN: Final = Script("""
for index, command in ipairs(cmsgpack.unpack(ARGV[1])) do
  redis.call(command[1], KEYS[index], unpack(command, 2))
end
""")
"""KEYS: one for each command. ARGV: the commands without them, as a MessagePack list of lists."""


class StoreConnection:
    """Runs commands; every failure is a `StoreUnavailableError`."""

    def __init__(self, url: StoreUrl, prefix: str, ca_file: str | None = None) -> None:
        """Make it; nothing is connected before it is used.

        Args:
            url: where the store is.
            prefix: what all keys begin with, so that clusters can share a store.
            ca_file: certificates that the store's is verified by; the system's if None.
        """
        self.redis, self._sentinels = _connect(url, ca_file)
        self.clustered = url.topology is Topology.CLUSTER
        self.keys = Keyspace(prefix, _CLUSTER_SHARDS if self.clustered else 1)

    @contextlib.contextmanager
    def using(self) -> Iterator[Any]:
        """Give the client for a few commands.

        Raises:
            StoreUnavailableError: one of them failed.
        """
        try:
            yield self.redis
        except _FAILURES as error:
            raise StoreUnavailableError(_reason(error)) from error

    async def pipelined(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Run commands in one round trip for each server; their answers, in order.

        Raises:
            StoreUnavailableError: one of them failed; others may have been run.
        """
        if not commands:
            return []
        with self.using() as redis:
            async with redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = await pipeline.execute()
                return answers

    async def written(self, *commands: tuple[Any, ...]) -> None:
        """Run commands whose answers nobody wants; a fifth of the work of `pipelined`.

        Args:
            commands: name, key and further arguments of each; no argument is bytes.

        Raises:
            StoreUnavailableError: one of them failed; others may have been run.
        """
        shards: dict[str, list[tuple[Any, ...]]] = {}
        for command in commands:
            shards.setdefault(command[1].partition("}")[0], []).append(command)
        for group in shards.values():
            texts = [(command[0], *map(str, command[2:])) for command in group]
            await self.run_script(
                _RUN, [command[1] for command in group], msgspec.msgpack.encode(texts)
            )

    async def run_script(self, script: Script, keys: list[str], *arguments: Any) -> Any:
        """Run a script; all keys are of one shard.

        Raises:
            StoreUnavailableError: it failed; it may have been run.
        """
        with self.using() as redis:
            try:
                return await redis.evalsha(script.digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return await redis.eval(script.text, len(keys), *keys, *arguments)

    async def lives(self) -> frozenset[str]:
        """Return what identifies the processes of the store: another one may have lost writes.

        Empty where the store's user may not ask (`INFO`).
        """
        try:
            with self.using() as redis:
                if not self.clustered:
                    info = await redis.info("server")
                    return frozenset({str(info.get("run_id"))})
                infos = await redis.info("server", target_nodes=RedisCluster.PRIMARIES)
                found = infos.values() if "run_id" not in infos else [infos]
                return frozenset(str(info.get("run_id")) for info in found)
        except StoreUnavailableError:
            return frozenset()

    async def close(self) -> None:
        """Close the connections."""
        for client in (self.redis, *self._sentinels):
            await client.aclose()


def _reason(error: Exception) -> str:
    """What went wrong: the server's own words, which never quote a password; otherwise the kind."""
    name = type(error).__name__
    return f"{name}: {error!s:.200}" if isinstance(error, ResponseError) else name


def _connect(url: StoreUrl, ca_file: str | None) -> tuple[Any, list[Any]]:
    """The client, and those of the Sentinels that it asks."""
    options: dict[str, Any] = {
        "username": url.username,
        "password": url.password,
        "socket_timeout": _TIMEOUT_SECONDS,
        "socket_connect_timeout": _TIMEOUT_SECONDS,
        "health_check_interval": 15,
        "decode_responses": False,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": ca_file} if url.tls else {}
    (host, port), retry = url.hosts[0], Retry(NoBackoff(), 1)
    if url.topology is Topology.CLUSTER:
        nodes = [ClusterNode(*address) for address in url.hosts]
        options |= {"startup_nodes": nodes, "retry": Retry(NoBackoff(), _CLUSTER_ATTEMPTS)}
        return RedisCluster(**options, **tls), []
    options |= {"db": url.database, "retry": retry}
    if url.topology is Topology.SENTINEL:
        sentinel = {
            "username": url.sentinel_username,
            "password": url.sentinel_password,
            "socket_timeout": _TIMEOUT_SECONDS,
            "socket_connect_timeout": _TIMEOUT_SECONDS,
            **tls,
        }
        sentinels: Any = Sentinel(list(url.hosts), sentinel_kwargs=sentinel)  # type: ignore[no-untyped-call]
        return sentinels.master_for(url.service, **options, **tls), sentinels.sentinels
    return Redis(host=host, port=port, **options, **tls), []
