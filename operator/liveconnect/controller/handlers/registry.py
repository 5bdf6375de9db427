"""kopf's handlers, registered on a registry of our own."""

from __future__ import annotations

from typing import Any

import aiohttp
import kopf
from aiohttp import web

from liveconnect import __version__
from liveconnect.api.v1alpha1 import GROUP, PLURAL, VERSION
from liveconnect.common.process import service_application
from liveconnect.controller.adapters.broker import HttpBrokers
from liveconnect.controller.adapters.kube import Kube
from liveconnect.controller.handlers.store import Store
from liveconnect.controller.handlers.supervisor import Supervisor
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.planner.plan import Event
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
_OURS = {"app.kubernetes.io/name": "liveconnect"}


class Controller:
    """Everything that lives as long as the process."""

    def __init__(self, settings: ControllerSettings) -> None:
        self.settings = settings
        self.store = Store()
        self.supervisor = Supervisor(self._reconciler)
        self._kube: Kube | None = None
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def _reconciler(self) -> Reconciler:
        if self._kube is None or self._session is None:
            raise RuntimeError("the controller has not started")
        return Reconciler(
            kube=self._kube,
            brokers=HttpBrokers(self._session),
            children=self.store,
            settings=RenderSettings(
                image=self.settings.image,
                image_pull_policy=self.settings.image_pull_policy,
                presence_image=self.settings.presence_image,
                cluster_domain=self.settings.cluster_domain,
                operator_version=__version__,
            ),
            emit=emit,
        )

    async def start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        """Connect, serve health and metrics."""
        settings.persistence.finalizer = f"{GROUP}/operator"
        prefix = f"operator.{GROUP}"
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=prefix)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=prefix)
        settings.scanning.disabled = True
        settings.posting.loggers = False
        self._kube = await Kube.connect()
        self._session = aiohttp.ClientSession()
        app = service_application(lambda: None, max_body_bytes=1024)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.settings.host, self.settings.port).start()

    async def stop(self, **_: Any) -> None:
        """End the loops, then the connections that they use."""
        await self.supervisor.stop()
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()
        if self._kube:
            await self._kube.close()

    async def on_cluster(self, event: kopf.RawEvent, **_: Any) -> None:
        """A cluster object appeared, changed or went."""
        body: Manifest = dict(event["object"])
        if event["type"] == "DELETED":
            await self.supervisor.remove(body)
        else:
            await self.supervisor.put(body)

    async def on_child(self, event: kopf.RawEvent, **_: Any) -> None:
        """A child appeared, changed or went."""
        owner = self.store.put(dict(event["object"]), gone=event["type"] == "DELETED")
        if owner is not None:
            self.supervisor.wake(owner)

    def registry(self) -> kopf.OperatorRegistry:
        """The handlers; explicit ids, so that renaming a method changes nothing."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(id="login", registry=registry)(login)
        kopf.on.startup(id="start", registry=registry)(self.start)
        kopf.on.cleanup(id="stop", registry=registry)(self.stop)
        kopf.on.event(GROUP, VERSION, PLURAL, id="cluster", registry=registry)(self.on_cluster)
        for group, version, plural in CHILDREN:
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
