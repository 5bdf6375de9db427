"""kopf's handlers, registered on a registry of our own."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp
import kopf
from aiohttp import web

from liveconnect import __version__
from liveconnect.api.v1alpha1 import GROUP, PLURAL, TOPIC_PLURAL, VERSION
from liveconnect.common.process import service_application
from liveconnect.common.serviceaccounts import OwnToken
from liveconnect.controller.adapters.authpods import HttpAuthPods
from liveconnect.controller.adapters.broker import HttpBrokers
from liveconnect.controller.adapters.canary import Canary
from liveconnect.controller.adapters.kube import Kube, KubeError
from liveconnect.controller.adapters.lease import KubeLease
from liveconnect.controller.handlers.leadership import Leadership
from liveconnect.controller.handlers.node_store import NodeStore
from liveconnect.controller.handlers.nothing import NoDiffs, NoProgress
from liveconnect.controller.handlers.store import Store
from liveconnect.controller.handlers.strays import Strays
from liveconnect.controller.handlers.supervisor import Supervisor
from liveconnect.controller.handlers.topic_store import TopicStore
from liveconnect.controller.model.lease import Candidate, Times
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.planner.events import Event
from liveconnect.controller.reconciler import Reconciler
from liveconnect.controller.rendering import RenderSettings
from liveconnect.controller.settings import ControllerSettings

#: Kinds whose changes wake their owner, and the label that ours carry.
CHILDREN = (
    ("", "v1", "serviceaccounts"),
    ("", "v1", "secrets"),
    ("", "v1", "configmaps"),
    ("", "v1", "services"),
    ("", "v1", "pods"),
    ("", "v1", "persistentvolumeclaims"),
    ("apps", "v1", "statefulsets"),
    ("apps", "v1", "deployments"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("networking.k8s.io", "v1", "networkpolicies"),
)
#: Objects that are planned and written at a time: what a pass renders is large.
_AT_ONCE = 8
_OURS = {"app.kubernetes.io/name": "liveconnect"}


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Election:
    """Our part in it while the process lives."""

    kube: Kube
    leadership: Leadership
    task: asyncio.Task[None]

    async def end(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Stop acting, then give the lease back."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await stop()
        await self.leadership.give_back()
        await self.kube.close()


class Controller:
    """Everything that lives as long as the process."""

    def __init__(self, settings: ControllerSettings) -> None:
        self.settings = settings
        self.store = Store()
        self.topics = TopicStore()
        self.nodes = NodeStore(readable=not settings.watched())
        self.supervisor = Supervisor(self._reconciler)
        self._strays: Strays | None = None
        self._strays_task: asyncio.Task[None] | None = None
        self._token = OwnToken(settings.token_file)
        self._subject = self._token.subject()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._kube: Kube | None = None
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._election: _Election | None = None

    def _reconciler(self) -> Reconciler:
        if self._kube is None or self._session is None:
            raise RuntimeError("the controller has not started")
        return Reconciler(
            kube=self._kube,
            brokers=HttpBrokers(self._session),
            auth_pods=HttpAuthPods(self._session),
            children=self.store,
            topics=self.topics,
            nodes=self.nodes,
            settings=RenderSettings(
                image=self.settings.image,
                image_pull_policy=self.settings.image_pull_policy,
                presence_image=self.settings.presence_image,
                cluster_domain=self.settings.cluster_domain,
                operator_version=__version__,
                operator_subject=self._subject or "",
            ),
            canary=Canary(self._token) if self._subject else None,
            emit=emit,
            turns=self._turns,
        )

    async def start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        """Connect, serve health and metrics."""
        settings.persistence.finalizer = f"{GROUP}/operator"
        settings.persistence.progress_storage = NoProgress()
        settings.persistence.diffbase_storage = NoDiffs()
        settings.scanning.disabled = True
        settings.posting.loggers = False
        for child in CHILDREN:
            settings.watching.label_selectors[child] = ",".join(
                f"{k}={v}" for k, v in _OURS.items()
            )
        if self.nodes.cordoned is None:
            _LOG.warning(
                "no watch of Kubernetes nodes in an installation for some namespaces: brokers are"
                " not drained before they are evicted, their clients are cut at once"
            )
        self._kube = await Kube.connect()
        self._session = aiohttp.ClientSession()
        self._strays = Strays(
            self._kube, self.topics, self.supervisor.knows, lambda: self.supervisor.leads
        )
        self._strays_task = asyncio.create_task(self._strays.run(), name="strays")
        app = service_application(lambda: None, max_body_bytes=1024)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.settings.host, self.settings.port).start()
        await self._served(self._kube)
        if self.settings.lease_namespace:
            self._election = await self._elect()
        else:
            await self.supervisor.lead()

    async def _served(self, kube: Kube) -> None:
        """Wait for the CRD: kopf looks once, and an operator that came first would stay idle."""
        for attempt in count():
            try:
                if await kube.is_served():
                    return
                why = "is not served yet; is its CRD installed?"
            except KubeError as error:
                why = str(error)
            if attempt % 30 == 0:
                _LOG.warning("waiting: %s.%s %s", PLURAL, GROUP, why)
            await asyncio.sleep(1)

    async def _elect(self) -> _Election:
        """Take part in the election, on a connection that no pass can keep busy."""
        kube = await Kube.connect()
        lease = KubeLease(kube, self.settings.lease_namespace, self.settings.lease_name)
        identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
        candidate = Candidate(identity=identity, times=Times())
        leadership = Leadership(
            lease, candidate, lead=self.supervisor.lead, follow=self.supervisor.follow
        )
        return _Election(kube, leadership, asyncio.create_task(leadership.run(), name="election"))

    async def stop(self, **_: Any) -> None:
        """End the loops, give the lease back, then end the connections that they use."""
        if self._strays_task:
            self._strays_task.cancel()
        if self._election:
            await self._election.end(self.supervisor.stop)
        await self.supervisor.stop()
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()
        if self._kube:
            await self._kube.close()

    async def on_cluster(self, event: kopf.RawEvent, **_: Any) -> None:
        """A cluster object appeared, changed or went; one of another operator's is gone for us."""
        body: Manifest = dict(event["object"])
        labels = body["metadata"].get("labels") or {}
        if event["type"] == "DELETED" or not self.settings.selector.matches(labels):
            await self.supervisor.remove(body)
            self._look_for_strays()
        else:
            await self.supervisor.put(body)

    async def on_listed(self, body: kopf.Body, **_: Any) -> None:
        """A child was seen, maybe before any pass is made; the index itself stays empty."""
        self.store.put(dict(body), gone=False)

    async def on_child(self, event: kopf.RawEvent, **_: Any) -> None:
        """A child appeared, changed or went."""
        owner = self.store.put(dict(event["object"]), gone=event["type"] == "DELETED")
        if owner is not None:
            self.supervisor.wake(owner)

    async def on_listed_topic(self, body: kopf.Body, **_: Any) -> None:
        """A topic object was seen, maybe before any pass is made."""
        self._take_topic(dict(body), gone=False)

    async def on_topic(self, event: kopf.RawEvent, **_: Any) -> None:
        """A topic object appeared, changed or went."""
        self._take_topic(dict(event["object"]), gone=event["type"] == "DELETED")

    def _take_topic(self, body: Manifest, *, gone: bool) -> None:
        for owner in self.topics.put(body, gone=gone):
            self.supervisor.wake(owner)
            if not self.supervisor.knows(owner):
                self._look_for_strays()

    async def on_listed_namespace(self, body: kopf.Body, **_: Any) -> None:
        """A namespace was seen, maybe before any pass is made."""
        self._take_namespace(dict(body), gone=False)

    async def on_namespace(self, event: kopf.RawEvent, **_: Any) -> None:
        """A namespace appeared, changed or went: delegations may be by its labels."""
        self._take_namespace(dict(event["object"]), gone=event["type"] == "DELETED")

    def _take_namespace(self, body: Manifest, *, gone: bool) -> None:
        if self.topics.put_namespace(body, gone=gone):
            for owner in self.topics.owners_within(body["metadata"]["name"]):
                self.supervisor.wake(owner)

    async def on_listed_node(self, body: kopf.Body, **_: Any) -> None:
        """A Kubernetes node was seen, maybe before any pass is made."""
        self._take_node(dict(body), gone=False)

    async def on_node(self, event: kopf.RawEvent, **_: Any) -> None:
        """A Kubernetes node appeared, changed or went: it may be cordoned."""
        self._take_node(dict(event["object"]), gone=event["type"] == "DELETED")

    def _take_node(self, body: Manifest, *, gone: bool) -> None:
        if self.nodes.put(body, gone=gone):
            for owner in self.store.owners_on(body["metadata"]["name"]):
                self.supervisor.wake(owner)

    def _look_for_strays(self) -> None:
        if self._strays is not None:
            self._strays.due.set()

    def registry(self) -> kopf.OperatorRegistry:
        """The handlers; explicit ids, so that renaming a method changes nothing."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(id="login", registry=registry)(login)
        kopf.on.startup(id="start", registry=registry)(self.start)
        kopf.on.cleanup(id="stop", registry=registry)(self.stop)
        kopf.on.event(GROUP, VERSION, PLURAL, id="cluster", registry=registry)(self.on_cluster)
        # kopf holds all handlers back until what has an index was listed as a whole: a pass that
        # saw only some of the children would take a cluster for a new one, and one that saw only
        # some of the topic objects would take the others' rules away.
        topics = (GROUP, VERSION, TOPIC_PLURAL)
        kopf.index(*topics, id="known-topics", registry=registry)(self.on_listed_topic)
        kopf.on.event(*topics, id="topic", registry=registry)(self.on_topic)
        if not self.settings.watched():
            # With Roles in some namespaces only, nobody may look at namespaces and nodes.
            spaces = ("", "v1", "namespaces")
            kopf.index(*spaces, id="known-namespaces", registry=registry)(self.on_listed_namespace)
            kopf.on.event(*spaces, id="namespace", registry=registry)(self.on_namespace)
            # A pass that did not know of a cordon would let clients in again.
            machines = ("", "v1", "nodes")
            kopf.index(*machines, id="known-nodes", registry=registry)(self.on_listed_node)
            kopf.on.event(*machines, id="node", registry=registry)(self.on_node)
        for group, version, plural in CHILDREN:
            kopf.index(
                group, version, plural, id=f"known-{plural}", labels=_OURS, registry=registry
            )(self.on_listed)
            kopf.on.event(
                group, version, plural, id=f"child-{plural}", labels=_OURS, registry=registry
            )(self.on_child)
        return registry


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Kopf's own connection: in-cluster, else by the kubeconfig."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def emit(body: Manifest, event: Event) -> None:
    """Post a Kubernetes event on the object."""
    # kopf builds the reference from a body of its own type; any mapping is one.
    reference: Any = body
    kopf.event(reference, type=event.type, reason=event.reason, message=event.message)
