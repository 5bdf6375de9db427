"""What the brokers themselves say: who is connected, and how they are.

One GET of `/metrics` tells a node's name, and whether anything happened that the hooks cannot have
told of; the session list is read only then (http-and-cli.md).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from liveconnect.api.operands import CANARY_MOUNTPOINT, BrokerAccess
from liveconnect.common.clientids import query_value
from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.webhook.contract import can_be_named

_METRICS_SECONDS: Final = aiohttp.ClientTimeout(total=2.0)
_COMMAND_SECONDS: Final = aiohttp.ClientTimeout(total=5.0)
_LIST_SECONDS: Final = aiohttp.ClientTimeout(total=60.0, connect=2.0)
_ROW_MS: Final = 5000
_MAX_SESSIONS: Final = 10_000_000
"""`--limit`: without it VerneMQ shows the first hundred and says nothing of the others."""

_CONNECTIONS: Final = "vernemq_total_active_connections{"
_UPTIME: Final = "vernemq_system_wallclock{"
_HOOK_ERRORS: Final = tuple(
    f"vernemq_webhooks_{hook}_errors{{"
    for hook in (
        "on_register",
        "on_register_m5",
        "on_client_gone",
        "on_client_offline",
        "on_session_expired",
    )
)


_NOBODY: Final = "nobody at all"
"""A user name that is no token, and that no authorization server is asked about."""


class BrokerUnavailableError(Exception):
    """A broker did not answer, or not with what was asked for; the message names no key."""


class Vitals(msgspec.Struct, frozen=True):
    """What a node's metrics say."""

    node: str
    """Its own name, `VerneMQ@…`."""
    address: str
    """Where it was reached, an IP address."""
    connections: int
    """Open MQTT connections, those included that have not sent CONNECT yet."""
    uptime_ms: int
    """Since its process started."""
    hook_errors: int
    """Presence hooks that nobody answered, since its process started."""


class _Session(msgspec.Struct, frozen=True):
    client_id: str
    mountpoint: str = ""


class _Sessions(msgspec.Struct, frozen=True):
    table: list[_Session]


class Holding(msgspec.Struct, frozen=True):
    """A client's subscription."""

    client_id: str
    topic: str
    """The filter, `$share/<group>/` included."""
    is_online: bool
    mountpoint: str = ""


class _Holdings(msgspec.Struct, frozen=True):
    table: list[Holding]


class _Row(msgspec.Struct, frozen=True):
    topic: str
    user: str | None = None


class _Rows(msgspec.Struct, frozen=True):
    table: list[_Row]


class Session(msgspec.Struct, frozen=True):
    """A connected client's session. It prints without the user name, which is the token."""

    user: str
    topics: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Session(topics={self.topics!r})"


class _Member(msgspec.Struct, frozen=True):
    node: str = msgspec.field(name="Node")
    running: bool = msgspec.field(name="Running")


class _Members(msgspec.Struct, frozen=True):
    table: list[_Member]


_decode_sessions: Final = msgspec.json.Decoder(_Sessions).decode
_decode_holdings: Final = msgspec.json.Decoder(_Holdings).decode
_decode_rows: Final = msgspec.json.Decoder(_Rows).decode
_decode_members: Final = msgspec.json.Decoder(_Members).decode


class Brokers:
    """All nodes of the cluster, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, access: BrokerAccess) -> None:
        self._session = session
        self._access = access
        self._key_file = Path(access.api_key_file)

    async def addresses(self) -> frozenset[str]:
        """Return the addresses of all nodes, dead ones included; empty if the name is unknown."""
        found = await asyncio.gather(*(self._resolve(host) for host in self._access.hosts))
        return frozenset().union(*found)

    async def _resolve(self, host: str) -> frozenset[str]:
        try:
            return frozenset({str(ipaddress.ip_address(host))})
        except ValueError:
            pass
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        except OSError:
            return frozenset()
        return frozenset(str(info[4][0]) for info in infos)

    async def vitals(self) -> tuple[Vitals, ...]:
        """Look at every node; those that do not answer are missing."""
        addresses = sorted(await self.addresses())
        found = await asyncio.gather(*(self._vitals_of(address) for address in addresses))
        return tuple(vitals for vitals in found if vitals is not None)

    async def _vitals_of(self, address: str) -> Vitals | None:
        try:
            text = await self._get(address, "/metrics", _METRICS_SECONDS, key=False)
            return parse_vitals(address, text.decode("utf-8"))
        except (BrokerUnavailableError, ValueError):
            return None

    async def members(self, address: str) -> Mapping[str, bool]:
        """Return a node's member list: node names, and whether each is running.

        Raises:
            BrokerUnavailableError: the node does not answer.
        """
        body = await self._get(address, "/api/v1/cluster/show", _COMMAND_SECONDS)
        try:
            return {row.node: row.running for row in _decode_members(body).table}
        except MALFORMED as error:
            raise BrokerUnavailableError(f"{address}: not a member list") from error

    async def online(self, address: str, node: str) -> Sequence[str]:
        """Return the client ids that are connected to a node; the operator's canary is no client.

        A row that VerneMQ cannot make within 100 ms is left out without a word: that a client is
        missing here proves nothing before it is missing again.

        Args:
            address: any node's; best its own, since the list is gathered in the one that is asked.
            node: name of the node.

        Raises:
            BrokerUnavailableError: the node does not answer.
        """
        filters = f"--node={quote(node, safe='@')}&--is_online=true"
        path = f"/api/v1/session/show?--client_id&--mountpoint&{filters}&--limit={_MAX_SESSIONS}"
        body = await self._get(address, path, _LIST_SECONDS)
        try:
            rows = _decode_sessions(body).table
            return [row.client_id for row in rows if row.mountpoint != CANARY_MOUNTPOINT]
        except MALFORMED as error:
            raise BrokerUnavailableError(f"{address}: not a session list") from error

    async def subscriptions(self, address: str, node: str) -> Sequence[Holding]:
        """Return all subscriptions of a node's sessions, of those that are not connected, too.

        A row for each (`vmq_info` in VerneMQ's source). Rows may take their time: one that was
        left out would be a subscription that nobody judges.

        Args:
            address: any node's; best its own, since the list is gathered in the one that is asked.
            node: name of the node.

        Raises:
            BrokerUnavailableError: the node does not answer.
        """
        fields = "--client_id&--mountpoint&--topic&--is_online"
        path = (
            f"/api/v1/session/show?{fields}&--node={quote(node, safe='@')}"
            f"&--limit={_MAX_SESSIONS}&--rowtimeout={_ROW_MS}"
        )
        body = await self._get(address, path, _LIST_SECONDS)
        try:
            rows = _decode_holdings(body).table
            return [row for row in rows if row.mountpoint != CANARY_MOUNTPOINT]
        except MALFORMED as error:
            raise BrokerUnavailableError(f"{address}: not a list of subscriptions") from error

    async def session(self, address: str, client_id: str) -> Session | None:
        """Return the session of a connected client; None if it has no subscription, or has gone.

        Args:
            address: any node's.
            client_id: one that `can_be_asked` about.

        Raises:
            BrokerUnavailableError: the node does not answer.
        """
        chosen = f"--client_id={query_value(client_id)}&--is_online=true"
        path = (
            f"/api/v1/session/show?--user&--topic&{chosen}"
            f"&--limit={_MAX_SESSIONS}&--rowtimeout={_ROW_MS}"
        )
        body = await self._get(address, path, _COMMAND_SECONDS)
        try:
            rows = _decode_rows(body).table
        except MALFORMED as error:
            raise BrokerUnavailableError(f"{address}: not a session") from error
        if not rows:
            return None
        return Session(rows[0].user or "", tuple(row.topic for row in rows))

    async def reauthorize(self, address: str, client_id: str, user: str) -> None:
        """Have a client's subscriptions asked about anew, one by one; the refused ones end.

        *Done* and *Unchanged* prove little: the hooks may have met a replica with older rules.

        Args:
            address: any node's.
            client_id: the client; unlike elsewhere any can be named, and in UTF-8 (recorded).
            user: the user name that the hooks are given; need not be the session's.

        Raises:
            BrokerUnavailableError: the node does not answer, or does not take the command.
        """
        named = f"username={quote(user, safe='')}&client-id={quote(client_id, safe='')}"
        await self._get(address, f"/api/v1/session/reauthorize?{named}", _COMMAND_SECONDS)

    async def disconnect(self, address: str, client_id: str, *, cleanup: bool = False) -> None:
        """End a client's connection, on whatever node it is.

        *Done* proves nothing: VerneMQ says it of absent clients, too. Clients beyond Latin-1 cannot
        be named here: they lose their subscriptions instead, and hooks refuse what they publish.

        Args:
            address: any node's.
            client_id: the client; some cannot be named (`common.clientids`).
            cleanup: whether its stored session ends as well.

        Raises:
            BrokerUnavailableError: the node does not answer, or the client id cannot be named.
        """
        value = query_value(client_id)
        if value is None:
            if not client_id or not can_be_named(client_id):
                raise BrokerUnavailableError("this client id cannot be given to session/disconnect")
            await self.reauthorize(address, client_id, _NOBODY)
            return
        flag = "&--cleanup" if cleanup else ""
        path = f"/api/v1/session/disconnect?client-id={value}{flag}"
        await self._get(address, path, _COMMAND_SECONDS)

    def pod_of(self, node: str) -> str | None:
        """Return the subscriber pod of a node name; None for nodes of the publisher pool."""
        pod = node.partition("@")[2].removesuffix(self._access.node_suffix)
        return pod if pod.startswith(self._access.pod_prefix) else None

    def node_of(self, pod: str) -> str:
        """Return a pod's node name."""
        return f"VerneMQ@{pod}{self._access.node_suffix}"

    async def _get(
        self, address: str, path: str, limit: aiohttp.ClientTimeout, *, key: bool = True
    ) -> bytes:
        host = f"[{address}]" if ":" in address else address
        url = URL(f"http://{host}:{self._access.port}{path}", encoded=True)
        headers = {"Authorization": aiohttp.encode_basic_auth(self._key())} if key else {}
        try:
            async with self._session.get(
                url, timeout=limit, allow_redirects=False, headers=headers
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokerUnavailableError(f"{address}: {type(error).__name__}") from error
        if answer.status != 200:
            raise BrokerUnavailableError(f"{address}: HTTP {answer.status}")
        return body

    def _key(self) -> str:
        try:
            return self._key_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BrokerUnavailableError(f"no API key: {type(error).__name__}") from None


def can_be_asked(client_id: str) -> bool:
    """Return whether `session/show` can be told this client id as a filter.

    It takes what follows a `~` for a regular expression, these two words for no text, and bytes for
    Latin-1.
    """
    if client_id.startswith("~") or client_id in {"true", "false"}:
        return False
    return query_value(client_id) is not None


def parse_vitals(address: str, text: str) -> Vitals:
    """Read a node's `/metrics`.

    Only a handful of its lines is looked at: a node exposes some 200 metrics, and this runs for
    every node every other second.

    Raises:
        ValueError: it is not what VerneMQ exposes.
    """
    node, sums = "", dict.fromkeys((_CONNECTIONS, _UPTIME, *_HOOK_ERRORS), 0)
    for line in text.splitlines():
        name = next((wanted for wanted in sums if line.startswith(wanted)), None)
        if name is None:
            continue
        labels, _, value = line.rpartition(" ")
        sums[name] += int(float(value))
        if name == _CONNECTIONS:
            node = labels.partition('node="')[2].partition('"')[0]
    if not node:
        raise ValueError("no node of VerneMQ")
    errors = sum(sums[name] for name in _HOOK_ERRORS)
    return Vitals(node, address, sums[_CONNECTIONS], sums[_UPTIME], errors)
