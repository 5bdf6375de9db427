"""The store's URL: one server, Sentinel or cluster, with or without TLS.

    redis://user:password@host:6379/0                              one server
    redis+sentinel://user:password@h1:26379,h2:26379/mymaster/0    whom Sentinel calls master
    redis+cluster://user:password@h1:6379,h2:6379                  a cluster, found from any

`rediss://` speaks TLS, and so do `rediss+sentinel://` and `rediss+cluster://`. Sentinel's own
credentials, if it has any, are in the query: `?sentinelUsername=…&sentinelPassword=…`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

_DEFAULT_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


class StoreUrlError(Exception):
    """The URL cannot be used. The message says why and quotes nothing of it: it has a password."""


class Topology(StrEnum):
    """What is behind the URL."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class StoreUrl(msgspec.Struct, frozen=True):
    """A store's URL, taken apart."""

    topology: Topology
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = None
    database: int = 0
    service: str = ""
    """What Sentinel calls the master."""
    sentinel_username: str | None = None
    sentinel_password: str | None = None

    def __repr__(self) -> str:
        return f"StoreUrl({self.topology.value})"

    @classmethod
    def parse(cls, url: str) -> StoreUrl:
        """Take a URL apart.

        Raises:
            StoreUrlError: it is none of the forms above.
        """
        scheme, separator, rest = url.strip().partition("://")
        name, _, kind = scheme.partition("+")
        if not separator or name not in {"redis", "rediss"}:
            raise StoreUrlError("begins with none of redis://, rediss://, redis+sentinel://, …")
        try:
            topology = Topology(kind or "single")
        except ValueError:
            raise StoreUrlError(
                "knows redis+sentinel and redis+cluster, nothing else after +"
            ) from None
        try:
            parts = urlsplit(f"//{rest}")
        except ValueError:
            raise StoreUrlError("has an address in brackets that is none") from None
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        service, database = _path(topology, parts.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        return cls(
            topology,
            name == "rediss",
            _hosts(hosts, _SENTINEL_PORT if topology is Topology.SENTINEL else _DEFAULT_PORT),
            unquote(username) or None,
            unquote(password) or None,
            database,
            service,
            query.get("sentinelUsername"),
            query.get("sentinelPassword"),
        )


def _hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    found = []
    for item in text.split(","):
        try:
            parts = urlsplit(f"//{item}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise StoreUrlError("a port is a number between 0 and 65535") from None
        if not host:
            raise StoreUrlError("a host is missing")
        found.append((host, port or default_port))
    return tuple(found)


def _path(topology: Topology, path: str) -> tuple[str, int]:
    """Sentinel's name of the master, and the database."""
    segments = [unquote(segment) for segment in path.split("/") if segment]
    service = ""
    if topology is Topology.SENTINEL:
        if not segments:
            raise StoreUrlError("Sentinel needs the master's name: redis+sentinel://host/NAME")
        service = segments.pop(0)
    if not segments:
        return service, 0
    if len(segments) > 1 or not segments[0].isdecimal():
        raise StoreUrlError("after the host comes the number of a database, nothing else")
    if topology is Topology.CLUSTER and segments[0] != "0":
        raise StoreUrlError("a cluster has only database 0")
    return service, int(segments[0])
