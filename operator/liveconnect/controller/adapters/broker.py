"""VerneMQ's HTTP endpoints: its own member list, its metrics, the management API.

*200 Done proves nothing* there (http-and-cli.md): nothing here reports success, the next
observation does.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from liveconnect.controller.model.credentials import ApiKeys
from liveconnect.controller.model.liveoptions import is_taken
from liveconnect.controller.model.names import CANARY_PORT, HTTP_PORT
from liveconnect.controller.model.observed import BrokerView, PodView

_LOG = logging.getLogger(__name__)
_LONGEST_SILENCE = 60.0
_ASK = aiohttp.ClientTimeout(total=4, connect=2)
_COMMAND = aiohttp.ClientTimeout(total=20, connect=3)
#: A migration may take its time; it is asked to stop by itself before this (seconds).
_MIGRATION_SECONDS = 50
_MIGRATE = aiohttp.ClientTimeout(total=_MIGRATION_SECONDS + 15, connect=3)
#: Client ids that `session disconnect clients` takes literally.
_PLAIN = re.compile(r"[A-Za-z0-9_.:@-]+")
#: Client ids that `session disconnect` finds, and that name nobody else (recorded).
_NAMEABLE = re.compile(r"[ !#-~]+")
#: More sessions are listed than wanted: some may have ids that cannot be named.
_UNNAMEABLE = 100
#: Client ids in one request: VerneMQ's HTTP server takes request lines of 8,000 bytes.
_AT_ONCE = 50
_CONNECTIONS = "vernemq_total_active_connections"
_CONNECTS = "vernemq_mqtt_connect_received"
_QUEUES = "vernemq_queue_processes"


class BrokerError(Exception):
    """A broker could not be asked or refused the command."""


class Brokers(Protocol):
    """What the reconciler needs of the brokers."""

    async def observe(self, pods: Iterable[PodView], keys: ApiKeys) -> dict[str, BrokerView]:
        """Ask every node; one that does not answer has a `problem`."""

    async def add_key(self, ip: str, api_key: str, new: str) -> None:
        """Make a node accept one more key."""

    async def remove_key(self, ip: str, api_key: str, old: str) -> None:
        """Make a node forget a key."""

    async def command(self, ip: str, api_key: str, words: str, **params: str) -> None:
        """Run a management command."""

    async def stop_listeners(self, ip: str, api_key: str, *, cut: bool = False) -> None:
        """Stop all MQTT listeners of a node; its clients stay connected unless they are cut."""

    async def start_listeners(self, ip: str, api_key: str) -> None:
        """Open all MQTT listeners of a node that were stopped."""

    async def set_options(
        self, ip: str, api_key: str, options: Mapping[str, str], checked: Iterable[str]
    ) -> None:
        """Let a node take over options, and make sure of some."""

    async def disconnect(self, ip: str, api_key: str, node: str, count: int) -> None:
        """Disconnect so many of a node's connected clients."""

    async def migrate(self, ip: str, api_key: str, node: str) -> None:
        """Evacuate a suspended node."""

    async def reload_certificates(self, ip: str, api_key: str) -> None:
        """Make the node read its certificates anew for the next handshakes."""


@dataclass(frozen=True)
class _Silence:
    """A node that does not answer; times on the event loop's clock."""

    since: float
    asked: float
    view: BrokerView

    @property
    def due(self) -> float:
        """When it is asked again: after a quarter of its silence, at the latest after a minute."""
        return self.asked + min((self.asked - self.since) / 4, _LONGEST_SILENCE)


class HttpBrokers:
    """The brokers over HTTP, by pod IP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._silent: dict[tuple[str, str], _Silence] = {}

    async def observe(self, pods: Iterable[PodView], keys: ApiKeys) -> dict[str, BrokerView]:
        """Ask every pod that has an address, all at once.

        One that does not answer is asked ever more rarely, until anything about its pod changes.
        """
        asked = {(p.uid, p.version): p for p in pods if p.ip and not p.deleting}
        self._silent = {key: known for key, known in self._silent.items() if key in asked}
        views = await asyncio.gather(*(self._known(k, p, keys) for k, p in asked.items()))
        return {v.pod: v for v in views}

    async def _known(self, key: tuple[str, str], pod: PodView, keys: ApiKeys) -> BrokerView:
        now = asyncio.get_running_loop().time()
        before = self._silent.get(key)
        if before is not None and now < before.due:
            return before.view
        view = await self._view(pod, keys)
        if view.reachable:
            self._silent.pop(key, None)
        else:
            self._silent[key] = _Silence(before.since if before else now, now, view)
        return view

    async def _view(self, pod: PodView, keys: ApiKeys) -> BrokerView:
        base = _base(pod.ip)
        current, other = True, False
        if keys.other:
            current, other = await asyncio.gather(
                self._accepts(base, keys.current), self._accepts(base, keys.other)
            )
        auth = _auth(keys.current if current or not other else keys.other)
        try:
            members = await self._json(f"{base}/api/v1/cluster/show", auth)
            listeners, metrics = await asyncio.gather(
                self._json(f"{base}/api/v1/listener/show", auth),
                self._text(f"{base}/metrics"),
            )
            view = _parse(pod.name, members, listeners, metrics)
            return replace(view, accepts_current=current, accepts_other=other)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            why = str(error) or type(error).__name__
            return BrokerView(pod=pod.name, problem=why, accepts_current=current)

    async def _accepts(self, base: str, key: str) -> bool:
        url = f"{base}/api/v1/cluster/show"
        try:
            async with self._session.get(url, headers=_auth(key), timeout=_ASK) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def add_key(self, ip: str, api_key: str, new: str) -> None:
        """`api-key add`; one that the node has already is fine.

        Raises:
            BrokerError: when the node cannot be reached or refuses.
        """
        await self._run(ip, api_key, "api-key/add", {"key": new, "scope": "mgmt"}, _COMMAND)

    async def remove_key(self, ip: str, api_key: str, old: str) -> None:
        """`api-key delete`; one that the node does not have is fine.

        Raises:
            BrokerError: when the node cannot be reached or refuses.
        """
        await self._run(ip, api_key, "api-key/delete", {"key": old, "scope": "mgmt"}, _COMMAND)

    async def _json(self, url: str | URL, headers: dict[str, str]) -> Any:
        async with self._session.get(url, headers=headers, timeout=_ASK) as answer:
            answer.raise_for_status()
            return await answer.json(content_type=None)

    async def _text(self, url: str) -> str:
        async with self._session.get(url, timeout=_ASK) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def command(self, ip: str, api_key: str, words: str, **params: str) -> None:
        """Run `vmq-admin <words>` over HTTP.

        Raises:
            BrokerError: when the node cannot be reached or says that the command failed.
        """
        await self._run(ip, api_key, words, params, _COMMAND)

    async def stop_listeners(self, ip: str, api_key: str, *, cut: bool = False) -> None:
        """`listener stop` for every MQTT listener that runs.

        The clients stay connected, or are cut (`--kill_sessions`) with all their hooks.

        Raises:
            BrokerError: when the node cannot be reached or refuses.
        """
        flags = {"--kill_sessions": ""} if cut else {}
        for running, where in await self._mqtt_listeners(ip, api_key):
            if running:
                await self.command(ip, api_key, "listener/stop", **where, **flags)

    async def start_listeners(self, ip: str, api_key: str) -> None:
        """`listener restart` for every MQTT listener that was stopped without cutting its clients.

        Raises:
            BrokerError: when the node cannot be reached or refuses.
        """
        for running, where in await self._mqtt_listeners(ip, api_key):
            if not running:
                await self.command(ip, api_key, "listener/restart", **where)

    async def _mqtt_listeners(self, ip: str, api_key: str) -> list[tuple[bool, dict[str, str]]]:
        """Every MQTT listener: whether it runs, and where."""
        try:
            shown = await self._json(f"{_base(ip)}/api/v1/listener/show", _auth(api_key))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise BrokerError(f"listener/show at {ip}: {error or type(error).__name__}") from error
        return [
            (row["status"] == "running", {"address": str(row["address"]), "port": str(row["port"])})
            for row in _mqtt(shown)
        ]

    async def set_options(
        self, ip: str, api_key: str, options: Mapping[str, str], checked: Iterable[str]
    ) -> None:
        """`set` all options on one node, and ask it for those that matter.

        Over HTTP `set` answers 500 whether it worked or not (recorded); `show` tells the truth.

        Raises:
            BrokerError: when the node cannot be reached or kept another value.
        """
        query = "&".join(f"{key}={quote(value)}" for key, value in options.items())
        headers = _auth(api_key)
        try:
            url = URL(f"{_base(ip)}/api/v1/set?{query}", encoded=True)
            async with self._session.get(url, headers=headers, timeout=_COMMAND) as answer:
                await answer.read()
            for key in checked:
                shown = await self._json(f"{_base(ip)}/api/v1/show/{key}", headers)
                value = shown["table"][0][key]
                if not is_taken(options[key], value):
                    raise BrokerError(f"{ip}: {key} is {value}, not {options[key]}, after `set`")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, LookupError) as error:
            raise BrokerError(f"set at {ip}: {error or type(error).__name__}") from error

    async def disconnect(self, ip: str, api_key: str, node: str, count: int) -> None:
        """Disconnect so many of a node's connected clients: named ones, some hundred a second.

        Not `session disconnect batch`: it takes the first sessions of its table, and stalls on a
        node with many offline ones (recorded). A client that goes by itself meanwhile is no
        failure. Clients whose id cannot be named are left: VerneMQ puts the id into a query as it
        is, so one with a quote would name others, and it does not find ids beyond ASCII; the end
        of the drain takes them.

        Raises:
            BrokerError: when the node cannot be reached or refuses.
        """
        words = f"--is_online=true&--node={quote(node)}&--client_id&--limit={count + _UNNAMEABLE}"
        url = URL(f"{_base(ip)}/api/v1/session/show?{words}", encoded=True)
        try:
            shown = await self._json(url, _auth(api_key))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise BrokerError(f"session/show at {ip}: {error or type(error).__name__}") from error
        found = [str(row["client_id"]) for row in shown["table"]]
        ids = [i for i in found if _NAMEABLE.fullmatch(i)][:count]
        plain = [i for i in ids if _PLAIN.fullmatch(i)]
        for start in range(0, len(plain), _AT_ONCE):
            some = plain[start : start + _AT_ONCE]
            chosen = {"client-ids": ",".join(some)}
            await self.command(ip, api_key, "session/disconnect/clients", **chosen)
        for odd in (i for i in ids if not _PLAIN.fullmatch(i)):
            await self.command(ip, api_key, "session/disconnect", **{"client-id": odd})

    async def migrate(self, ip: str, api_key: str, node: str) -> None:
        """`cluster leave --kill_sessions`: sessions are cut, queues move, the node leaves.

        An answer that does not come in time or a cut connection is no failure: the node's process
        ends during it (recorded), and the member lists tell.
        """
        params = {
            "node": node,
            "--kill_sessions": "",
            "--summary-interval": "1",
            "--timeout": str(_MIGRATION_SECONDS),
        }
        try:
            await self._run(ip, api_key, "cluster/leave", params, _MIGRATE)
        except BrokerError as error:
            _LOG.info("leave of %s: %s; the member lists will tell", node, error)

    async def reload_certificates(self, ip: str, api_key: str) -> None:
        """Clear the node's cache of PEM files.

        It does so, but says that it failed (2.1.2, recorded): only a handshake tells.
        """
        try:
            await self._run(ip, api_key, "tls/clear-pem-cache", {}, _COMMAND)
        except BrokerError as error:
            _LOG.debug("%s; a handshake will tell", error)

    async def _run(
        self,
        ip: str,
        api_key: str,
        words: str,
        params: dict[str, str],
        limit: aiohttp.ClientTimeout,
    ) -> None:
        # A flag is a bare word in the query (`&--kill_sessions`), as vmq-admin's own.
        query = "&".join(f"{k}={quote(v)}" if v else k for k, v in params.items())
        url = URL(f"{_base(ip)}/api/v1/{words}?{query}", encoded=True)
        try:
            async with self._session.get(url, headers=_auth(api_key), timeout=limit) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # A key may be in the query: no words of the library's that could hold it.
            why = "" if words.startswith("api-key/") else str(error)
            raise BrokerError(f"{words} at {ip}: {why or type(error).__name__}") from None
        if answer.status != 200 or '"alert"' in text:
            raise BrokerError(f"{words} at {ip}: HTTP {answer.status} {text[:200]}")


def _auth(api_key: str) -> dict[str, str]:
    """The API key, which is a user name without a password (http-and-cli.md)."""
    return {"Authorization": aiohttp.encode_basic_auth(api_key)}


def _base(ip: str) -> str:
    return f"http://[{ip}]:{HTTP_PORT}" if ":" in ip else f"http://{ip}:{HTTP_PORT}"


def _parse(pod: str, members: Any, listeners: Any, metrics: str) -> BrokerView:
    counts = _metrics(metrics)
    canaries = _canaries(listeners)
    return BrokerView(
        pod=pod,
        members={row["Node"]: bool(row["Running"]) for row in members["table"]},
        # A node that leaves lists its MQTT listeners as suspended, later not at all (recorded).
        suspended=all(row["status"] != "running" for row in _mqtt(listeners)),
        connections=max(counts.get(_CONNECTIONS, 0) - canaries, 0),
        connects=counts.get(_CONNECTS, 0),
        queues=max(counts.get(_QUEUES, 0) - canaries, 0),
    )


def _canaries(listeners: Any) -> int:
    """Connections of the operator's own: no clients."""
    private = (row for row in _mqtt(listeners) if str(row["port"]) == str(CANARY_PORT))
    return sum(int(row.get("active_conns", 0)) for row in private)


def _mqtt(listeners: Any) -> list[Any]:
    kinds = {"mqtt", "mqttws", "mqtts", "mqttwss"}
    return [row for row in listeners["table"] if row["type"] in kinds]


def _metrics(text: str) -> dict[str, int]:
    """Sum the metrics that we read over their labels.

    Only their lines are parsed: a node exposes some 200 metrics, and this runs for every node on
    every pass.
    """
    wanted = (_CONNECTIONS, _CONNECTS, _QUEUES)
    lines = "\n".join(line for line in text.splitlines() if line.startswith(wanted))
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(f"{lines}\n"):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + int(sample.value)
    return sums
