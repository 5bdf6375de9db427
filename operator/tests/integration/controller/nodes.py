"""Broker nodes for pods that do not run: the management API, at the pods' own addresses.

They say what VerneMQ's would (http-and-cli.md) as far as a roll needs it: all of them are one
cluster, they have the clients that a test gives them, which do not go when they are told to, and
listeners that are stopped stay so until the pod is another one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections import Counter, defaultdict
from typing import Any

from aiohttp import web
from kubernetes.aio import client, config

from liveconnect.controller.model.names import HTTP_PORT, Names
from tests.integration.controller.conftest import Kube
from tests.integration.planes import ADDRESSES

_BROKERS = "liveconnect.io/broker=true"


class Nodes:
    """The nodes of the cluster `demo` in a namespace."""

    def __init__(self, kube: Kube) -> None:
        self.clients: dict[str, int] = {}
        """Clients by pod."""
        self.asked: Counter[str] = Counter()
        """How often each pod was asked for its metrics: once in a pass of the operator."""
        self.lives: dict[str, set[str]] = defaultdict(set)
        """Uids of all pods that each node has had."""
        self._kube = kube
        self._names = Names("demo", kube.namespace)
        self._stopped: set[str] = set()
        self._members: set[str] = set()
        self._options: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Answer at every address that a pod can have."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(timeout=30)

    def stop(self) -> None:
        """Answer no more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _serve(self) -> None:
        file = str(self._kube.plane.kubeconfig())
        await config.load_kube_config(file)  # type: ignore[no-untyped-call] # untyped there
        self._pods = client.CoreV1Api()
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/api/v1/cluster/show", self._cluster)
        application.router.add_get("/api/v1/listener/show", self._listeners)
        application.router.add_get("/api/v1/listener/stop", self._stop)
        application.router.add_get("/api/v1/listener/restart", self._restart)
        application.router.add_get("/api/v1/session/show", self._sessions)
        application.router.add_get("/api/v1/session/disconnect/clients", self._nothing)
        application.router.add_get("/api/v1/set", self._set)
        application.router.add_get("/api/v1/show/{option}", self._show)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        for address in ipaddress.ip_network(ADDRESSES):
            await web.TCPSite(self._runner, str(address), HTTP_PORT).start()

    async def _end(self) -> None:
        await self._runner.cleanup()
        await self._pods.api_client.close()

    async def _found(self) -> dict[str, Any]:
        """The pods by address, as they are now: an address is given to another pod later."""
        listed = await self._pods.list_namespaced_pod(self._kube.namespace, label_selector=_BROKERS)
        pods: list[Any] = listed.items
        for pod in pods:
            self.lives[pod.metadata.name].add(pod.metadata.uid)
        return {p.status.pod_ip: p for p in pods if p.status.pod_ip}

    async def _asked(self, request: web.Request) -> Any:
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        pods = await self._found()
        if address not in pods:
            raise web.HTTPServiceUnavailable
        return pods[address]

    async def _metrics(self, request: web.Request) -> web.Response:
        pod = (await self._asked(request)).metadata.name
        self.asked[pod] += 1
        return web.Response(text=f"vernemq_total_active_connections {self.clients.get(pod, 0)}\n")

    async def _cluster(self, request: web.Request) -> web.Response:
        await self._asked(request)
        running = {self._names.node(p.metadata.name) for p in (await self._found()).values()}
        self._members |= running
        return _table({"Node": n, "Running": n in running} for n in sorted(self._members))

    async def _listeners(self, request: web.Request) -> web.Response:
        stopped = (await self._asked(request)).metadata.uid in self._stopped
        status = "stopped" if stopped else "running"
        row = {"type": "mqtt", "status": status, "address": "0.0.0.0", "port": "1883"}
        return _table([row])

    async def _stop(self, request: web.Request) -> web.Response:
        self._stopped.add((await self._asked(request)).metadata.uid)
        return _table([])

    async def _restart(self, request: web.Request) -> web.Response:
        self._stopped.discard((await self._asked(request)).metadata.uid)
        return _table([])

    async def _sessions(self, request: web.Request) -> web.Response:
        pod = (await self._asked(request)).metadata.name
        return _table({"client_id": f"c{n}"} for n in range(self.clients.get(pod, 0)))

    async def _nothing(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return _table([])

    async def _set(self, request: web.Request) -> web.Response:
        self._options |= request.query
        return _table([])

    async def _show(self, request: web.Request) -> web.Response:
        option = request.match_info["option"]
        return _table([{option: self._options[option]}])


def _table(rows: Any) -> web.Response:
    return web.json_response({"type": "table", "table": list(rows)})
