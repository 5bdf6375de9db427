"""One pass: observe → plan → execute → status. It never raises: a failure is a condition."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Protocol, TypeVar

import pydantic
from prometheus_client import Counter, Histogram

from liveconnect.api.v1alpha1 import API_VERSION, KIND, Cluster
from liveconnect.controller.adapters.authpods import AuthPods
from liveconnect.controller.adapters.broker import BrokerError, Brokers
from liveconnect.controller.adapters.canary import Canary
from liveconnect.controller.adapters.expiry import ExpiryMetric
from liveconnect.controller.adapters.handshake import Handshakes
from liveconnect.controller.adapters.kube import Kube, KubeError
from liveconnect.controller.adapters.placeholder import (
    make_peer_pair,
    make_placeholder,
    make_server_pair,
)
from liveconnect.controller.adapters.troubles import observe_troubles
from liveconnect.controller.model.actions import (
    Action,
    AddApiKey,
    Apply,
    Delete,
    DisconnectClients,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    NodeAction,
    Patch,
    ReloadCertificates,
    RemoveApiKey,
    SetOptions,
    StartListeners,
    StopListeners,
    SuspendNode,
)
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import (
    API_KEY_ROTATION_ANNOTATION,
    COOKIE_ANNOTATION,
    COOKIE_ROTATION_ANNOTATION,
    Manifest,
    ObjectKey,
    digest,
)
from liveconnect.controller.model.marks import Mark
from liveconnect.controller.model.names import LIFE_ANNOTATION, RETIRED_ANNOTATION, Names
from liveconnect.controller.model.observed import (
    AuthPodView,
    Memory,
    Observed,
    PodView,
    Pool,
    VolumeView,
)
from liveconnect.controller.model.references import is_mounted, references
from liveconnect.controller.model.tls import (
    gateway_use,
    has_certificates,
    hooks_use,
    https_use,
    store_has_tls,
    tls_uses,
)
from liveconnect.controller.model.troubles import pod_trouble
from liveconnect.controller.planner.drift import is_edited
from liveconnect.controller.planner.events import Event
from liveconnect.controller.planner.gateway_https import lacks_peer_pair
from liveconnect.controller.planner.plan import CALM, Plan, plan
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.refusals import INDEPENDENT, blamed
from liveconnect.controller.planner.status import failed
from liveconnect.controller.planner.storage import classes_in_question
from liveconnect.controller.planner.store_tls import lacks_store_pair
from liveconnect.controller.rendering import RenderSettings

_LOG = logging.getLogger(__name__)
_PASSES = Counter("liveconnect_controller_passes_total", "Passes by outcome.", ("outcome",))
_SECONDS = Histogram("liveconnect_controller_pass_seconds", "Time of a pass.")
_WRITES = Counter("liveconnect_controller_writes_total", "Writes of children.", ("verb", "kind"))
_RETRY = timedelta(seconds=3)
#: What the API server says when our fields and somebody's do not go together.
_CONFLICTS = {409, 422}
_MAX_RETRY = timedelta(seconds=60)
#: A watch shows what was applied within this; else it is gone again.
_SHOWN_WITHIN = timedelta(seconds=5)
#: Something that does not get on is looked at when a quarter of that time has passed again …
_RARER = 4
#: … and at least this often.
_LONGEST = timedelta(seconds=120)
_WORKLOADS = {"StatefulSet", "Deployment"}
#: Requests of one object at a time: one object does not keep the API server from the others.
_AT_ONCE = 8
T = TypeVar("T")


class Children(Protocol):
    """What the watches hold of one cluster object."""

    def objects(self, namespace: str, cluster: str) -> Mapping[ObjectKey, Manifest]:
        """Children that the operator applies."""

    def marks(self, namespace: str, cluster: str) -> Mapping[ObjectKey, Mark]:
        """What changes when somebody edits one of them."""

    def pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of both pools."""

    def auth_pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of the auth service."""

    def service_pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of the other operands."""

    def claims(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Volume claims of all operands."""


class TopicObjects(Protocol):
    """What the watches hold of `LiveConnectTopic` objects and namespaces."""

    def of(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """The topic objects for one cluster."""

    @property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Labels by namespace."""


class KubernetesNodes(Protocol):
    """What the watches hold of the Kubernetes nodes."""

    @property
    def cordoned(self) -> frozenset[str] | None:
        """Those that take no pods; None when this operator may not read nodes."""


@dataclass
class Reconciler:
    """Reconciles one cluster object, pass by pass."""

    kube: Kube
    brokers: Brokers
    auth_pods: AuthPods
    children: Children
    topics: TopicObjects
    nodes: KubernetesNodes
    settings: RenderSettings
    emit: Callable[[Manifest, Event], None]
    """Posts a Kubernetes event on the object."""
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Shared with the other objects: who plans and writes."""
    memory: Memory = field(default_factory=Memory)
    credentials: Credentials | None = None
    failures: int = 0
    still_since: datetime | None = None
    """Since when passes change nothing and find nothing changed."""
    failing: tuple[int, str, str] | None = None
    """Generation, reason and message of a failure that the next pass may meet again."""
    handshakes: Handshakes = field(default_factory=Handshakes)
    expiry: ExpiryMetric = field(default_factory=ExpiryMetric)
    canary: Canary | None = None
    """Tries messages between the nodes; None when this operator has no token for it."""

    async def reconcile(self, body: Manifest) -> timedelta:
        """Make one pass and say after how long the next is due."""
        now = datetime.now(UTC)
        try:
            cluster = Cluster.parse(body)
        except pydantic.ValidationError as error:
            return await self._fail(body, Reason.INVALID_SPEC, _explain(error), now)
        try:
            with _SECONDS.time():
                resync = await self._pass(cluster, body, now)
        except (KubeError, BrokerError) as error:
            return await self._fail(body, Reason.RECONCILE_FAILED, str(error), now)
        except Exception as error:  # noqa: BLE001 - the loop never ends for a bug
            _LOG.exception("%s/%s: unexpected error", cluster.namespace, cluster.name)
            why = f"unexpected {type(error).__name__}; the operator's log has it"
            return await self._fail(body, Reason.RECONCILE_FAILED, why, now)
        self.failures = 0
        _PASSES.labels("ok").inc()
        if self.failing is not None:
            self.failing = None
            return timedelta()
        return resync

    async def _pass(self, cluster: Cluster, body: Manifest, now: datetime) -> timedelta:
        names = Names(cluster.name, cluster.namespace, self.settings.cluster_domain)
        self.credentials = self.credentials or await self._credentials(cluster, names)
        if has_certificates(cluster) and not self.credentials.placeholder:
            self.credentials = replace(self.credentials, placeholder=make_placeholder())
        digests, missing = await self._references(cluster)
        observed = await self._observe(cluster, names, body, missing, now)
        classes = await self._storage_classes(classes_in_question(cluster, names, observed))
        observed = replace(observed, storage_classes=classes)
        if lacks_peer_pair(cluster, names, observed):
            observed = replace(observed, peer_pair=make_peer_pair(names.gateway, now))
        if lacks_store_pair(cluster, names, observed):
            host = names.host(names.presence)
            observed = replace(observed, store_pair=make_server_pair(host, now))
        async with self.turns:
            observed = self._with_children(cluster, observed, now)
            decided = plan(cluster, self.settings, self.credentials, digests, observed, now)
            self.memory = decided.memory
            self.expiry.say(cluster.namespace, cluster.name, decided.status.certificates)
            news = await self._write_status(body, decided, now)
            for event in decided.events:
                self.emit(body, event)
            # The Secret is applied before any pod that reads it: it is the only copy that survives
            # us.
            self.credentials = decided.credentials
            for key, status in decided.topic_statuses:
                await self.kube.patch_status(key, status)
            if self.canary is not None:
                self.canary.aim(cluster.namespace, cluster.name, decided.targets)
            await self._execute(cluster, decided, observed)
        if cluster.reconcile != self.memory.reconciled and not cluster.paused:
            self.memory = replace(self.memory, reconciled=cluster.reconcile)
            return timedelta()
        return self._due(decided, now, is_still=not news and not decided.actions)

    def wake(self) -> None:
        """Note that something has changed: what follows may need quick passes."""
        self.still_since = None

    def _due(self, decided: Plan, now: datetime, *, is_still: bool) -> timedelta:
        """After how long to look again: ever more rarely at something that does not get on.

        What Kubernetes knows of wakes the object anyway; only the brokers must be asked.
        """
        self.still_since = (self.still_since or now) if is_still else None
        if self.still_since is None or decided.resync >= CALM:
            return decided.resync
        return min(max(decided.resync, (now - self.still_since) / _RARER), _LONGEST)

    def _with_children(self, cluster: Cluster, observed: Observed, now: datetime) -> Observed:
        """Add the children as they are now: since the brokers were asked, time has passed."""
        children = self.children.objects(cluster.namespace, cluster.name)
        sent = {
            key: at
            for key, at in self.memory.sent.items()
            if key not in children and now - at < _SHOWN_WITHIN
        }
        return replace(
            observed,
            children=children,
            marks=self.children.marks(cluster.namespace, cluster.name),
            memory=replace(self.memory, sent=sent),
        )

    async def _observe(
        self,
        cluster: Cluster,
        names: Names,
        body: Manifest,
        missing: tuple[str, ...],
        now: datetime,
    ) -> Observed:
        pods = tuple(pod_view(p) for p in self.children.pods(cluster.namespace, cluster.name))
        auth = [auth_pod_view(p) for p in self.children.auth_pods(cluster.namespace, cluster.name)]
        children = self.children.objects(cluster.namespace, cluster.name)
        workloads = [children[key] for key in children if key.kind in _WORKLOADS]
        services = self.children.service_pods(cluster.namespace, cluster.name)
        assert self.credentials is not None  # noqa: S101 - set by the pass
        brokers, auth_pods = await asyncio.gather(
            self.brokers.observe(pods, self.credentials.api_keys), self.auth_pods.look(auth)
        )
        return Observed(
            children=children,
            pods=pods,
            brokers=brokers,
            auth_pods=auth_pods,
            topics=self.topics.of(cluster.namespace, cluster.name),
            namespaces=self.topics.labels,
            cordoned=self.nodes.cordoned,
            troubles=await observe_troubles(self.kube, workloads, services, now),
            claims={
                c["metadata"]["name"]: c["metadata"]["uid"]
                for c in self.children.claims(cluster.namespace, cluster.name)
                if not c["metadata"].get("deletionTimestamp")
            },
            volumes={
                c["metadata"]["name"]: volume_view(c)
                for c in self.children.claims(cluster.namespace, cluster.name)
                if not c["metadata"].get("deletionTimestamp")
            },
            missing_references=missing,
            secrets=await self._certificate_secrets(cluster, names),
            fresh=_fresh(),
            handshakes=await self._handshakes(cluster, pods, now),
            mesh=None if self.canary is None else self.canary.view(),
            status=dict(body.get("status") or {}),
            memory=self.memory,
        )

    async def _certificate_secrets(
        self, cluster: Cluster, names: Names
    ) -> dict[str, dict[str, bytes]]:
        """Content of the Secrets with certificates; those that do not exist are left out.

        The pools' own are read here, too: a watch may not have them yet, and the last good
        certificate would be lost.
        """
        uses = tls_uses(cluster)
        asked = {s for use in uses for s in (*use.secrets, names.tls(use.pool))}
        client = gateway_use(cluster)
        if client is not None:
            asked |= {client.secret}
        if cluster.spec.publishers.tls is not None:
            asked |= {names.gateway_tls}
        https = https_use(cluster)
        if https is not None:
            asked |= {*https.secrets, names.gateway_https}
        hooks = hooks_use(cluster)
        if hooks is not None:
            asked |= {hooks.secret, names.auth_tls, names.tls(Pool.SUBSCRIBER)}
        if store_has_tls(cluster):
            asked |= {names.presence_tls}
        wanted = sorted(asked)
        found = await asyncio.gather(*(self._content(cluster.namespace, s) for s in wanted))
        return {s: data for s, data in zip(wanted, found, strict=True) if data is not None}

    async def _handshakes(
        self, cluster: Cluster, pods: tuple[PodView, ...], now: datetime
    ) -> dict[tuple[str, int], str]:
        ports = [
            (pod.name, pod.ip, use.port)
            for use in tls_uses(cluster)
            for pod in pods
            if pod.pool is use.pool and pod.ip and not pod.deleting
        ]
        return await self.handshakes.observe(ports, now, stale=bool(self.memory.reloads))

    async def _storage_classes(self, names: frozenset[str]) -> dict[str, bool | None]:
        """Whether volumes of these classes can grow; None for one that does not exist.

        An operator that is confined to namespaces may not look: then it is tried.
        """
        found: dict[str, bool | None] = {}
        for name in sorted(names):
            try:
                body = await self.kube.get(ObjectKey("storage.k8s.io/v1", "StorageClass", "", name))
            except KubeError as error:
                if error.status != 403:
                    raise
                continue
            found[name] = bool(body.get("allowVolumeExpansion")) if body else None
        return found

    async def _credentials(self, cluster: Cluster, names: Names) -> Credentials:
        """Read back what was generated, or generate it: the Secrets are the only copy."""
        found = await self.kube.get(ObjectKey("v1", "Secret", names.namespace, names.broker))
        broker = _texts(found or {})
        presence = await self._secret(names.namespace, names.presence) or {}
        fresh = _fresh()
        # What is new needs no rotation, whatever the object asks for.
        asked = {
            API_KEY_ROTATION_ANNOTATION: cluster.rotate_api_key,
            COOKIE_ROTATION_ANNOTATION: cluster.rotate_cookie,
        }
        begun = asked if found is None else found["metadata"].get("annotations") or {}
        return Credentials(
            cookie=broker.get("cookie") or fresh.cookie,
            api_key=broker.get("api-key") or fresh.api_key,
            presence_password=presence.get("password") or fresh.presence_password,
            placeholder=broker.get("placeholder.pem", ""),
            next_api_key=broker.get("api-key-next", ""),
            previous_api_key=broker.get("api-key-previous", ""),
            api_key_rotation=begun.get(API_KEY_ROTATION_ANNOTATION, ""),
            cookie_rotation=begun.get(COOKIE_ROTATION_ANNOTATION, ""),
        )

    async def _secret(self, namespace: str, name: str) -> dict[str, str] | None:
        found = await self.kube.get(ObjectKey("v1", "Secret", namespace, name))
        return None if found is None else _texts(found)

    async def _content(self, namespace: str, name: str) -> dict[str, bytes] | None:
        found = await self.kube.get(ObjectKey("v1", "Secret", namespace, name))
        return None if found is None else _content(found)

    async def _references(self, cluster: Cluster) -> tuple[dict[str, str], tuple[str, ...]]:
        """Digests of the Secrets that the object refers to, and what is wrong, in words."""
        wanted = references(cluster)
        names = sorted({one.secret for one in wanted})
        contents = await asyncio.gather(*(self._content(cluster.namespace, n) for n in names))
        found = dict(zip(names, contents, strict=True))
        digests = {
            f"{one.secret}/{one.key}": hashlib.sha256(content[one.key]).hexdigest()
            for one in wanted
            if is_mounted(one) and (content := found[one.secret]) and one.key in content
        }
        problems = (one.problem(found[one.secret]) for one in wanted)
        return digests, tuple(problem for problem in problems if problem)

    async def _execute(self, cluster: Cluster, decided: Plan, observed: Observed) -> None:
        """Do the actions in order; a failure ends the pass.

        Applies that need not wait for each other are sent at once: first everything that pods read
        or depend on, then the pods. A child that nothing depends on keeps no other from being
        applied, and no node from being looked after: what Kubernetes has against it is said in the
        end.
        """
        await self._refuse_foreign(decided, observed)
        refusals: list[KubeError | None] = []
        for workloads, actions in groupby(decided.actions, _wave):
            if workloads is not None:
                applies = (a for a in actions if isinstance(a, Apply))
                refusals += await _all(self._tried(cluster, a) for a in applies)
                continue
            for action in actions:
                if isinstance(action, Apply | Delete | Patch):
                    await self._write(action)
                else:
                    await self._command(action, observed)
        refused = [error for error in refusals if error is not None]
        if refused:
            raise min(refused, key=str)

    async def _tried(self, cluster: Cluster, action: Apply) -> KubeError | None:
        """Apply it; what Kubernetes has against it, if nothing depends on it."""
        try:
            await self._write(action)
        except KubeError as error:
            if action.manifest["kind"] not in INDEPENDENT or not error.refused:
                raise
            field = blamed(cluster, action.manifest)
            return error.about(field) if field else error
        return None

    async def _write(self, action: Apply | Delete | Patch) -> None:
        """Change an object of Kubernetes."""
        match action:
            case Apply(manifest, why):
                _LOG.info("apply %s: %s", ObjectKey.of(manifest), why)
                _WRITES.labels("apply", manifest["kind"]).inc()
                await self._apply(manifest)
            case Delete(key, uid, why, orphan):
                _LOG.info("delete %s: %s", key, why)
                _WRITES.labels("delete", key.kind).inc()
                await self.kube.delete(key, uid, orphan=orphan)
            case Patch(key, uid, body, why):
                _LOG.info("change %s: %s", key, why)
                _WRITES.labels("patch", key.kind).inc()
                await self.kube.patch(key, uid, body)

    async def _command(self, action: NodeAction, observed: Observed) -> None:
        """Tell a broker something."""
        keys = {p.name: self._key(p.name, observed) for p in observed.pods}
        ips = {p.name: p.ip for p in observed.pods}
        match action:
            case JoinNode(pod, discovery):
                view = next(p for p in observed.pods if p.name == pod)
                await self._join(view, keys[pod], discovery)
            case StopListeners(pod, cut):
                await self.brokers.stop_listeners(ips[pod], keys[pod], cut=cut)
            case StartListeners(pod):
                await self.brokers.start_listeners(ips[pod], keys[pod])
            case DisconnectClients(pod, node, count):
                await self.brokers.disconnect(ips[pod], keys[pod], node, count)
            case SuspendNode(pod, node):
                await self.brokers.command(ips[pod], keys[pod], "cluster/leave", node=node)
            case EvacuateNode(via, node):
                await self.brokers.migrate(ips[via], keys[via], node)
            case ForgetNode(via, node):
                await self.brokers.command(ips[via], keys[via], "cluster/leave", node=node)
            case _:
                pod_seen = next(p for p in observed.pods if p.name == action.pod)
                await self._configure(action, pod_seen, keys[action.pod])

    async def _configure(
        self,
        action: SetOptions | ReloadCertificates | AddApiKey | RemoveApiKey,
        pod: PodView,
        key: str,
    ) -> None:
        """Change what a node runs with."""
        match action:
            case SetOptions(_, options, checked):
                await self.brokers.set_options(pod.ip, key, options, checked)
                given = {**self.memory.options, pod.life: digest(options)}
                self.memory = replace(self.memory, options=given)
            case ReloadCertificates():
                await self.brokers.reload_certificates(pod.ip, key)
            case AddApiKey():
                await self.brokers.add_key(pod.ip, key, self._other_key(key))
            case RemoveApiKey():
                await self.brokers.remove_key(pod.ip, key, self._other_key(key))

    def _key(self, pod: str, observed: Observed) -> str:
        """The API key that a node takes: not the one in use, for a moment of its rotation."""
        assert self.credentials is not None  # noqa: S101 - set by the pass
        keys = self.credentials.api_keys
        view = observed.brokers.get(pod)
        refused = view is not None and not view.accepts_current and view.accepts_other
        return keys.other if refused else keys.current

    def _other_key(self, key: str) -> str:
        """The other one of the two while they are rotated."""
        assert self.credentials is not None  # noqa: S101 - set by the pass
        keys = self.credentials.api_keys
        return keys.other if key == keys.current else keys.current

    async def _join(self, pod: PodView, api_key: str, discovery: str) -> None:
        """Tell a node to join; a refusal is remembered, the next passes decide what it means."""
        try:
            await self.brokers.command(
                pod.ip, api_key, "cluster/join", **{"discovery-node": discovery}
            )
        except BrokerError as error:
            _LOG.warning("%s cannot join: %s", pod.name, error)
            refusals = self.memory.refusals
            seen = {**refusals, pod.uid: refusals.get(pod.uid, 0) + 1}
            self.memory = replace(self.memory, refusals=seen)

    async def _refuse_foreign(self, decided: Plan, observed: Observed) -> None:
        """Stop before an object of somebody else would become ours, only because of its name.

        Raises:
            KubeError: there is one; says which and what to do.
        """
        new = [
            action.manifest
            for action in decided.actions
            if isinstance(action, Apply)
            and (key := ObjectKey.of(action.manifest)) not in observed.children
            and key not in self.memory.applied
        ]
        found = await _all(self.kube.get_metadata(ObjectKey.of(m)) for m in new)
        for manifest, existing in zip(new, found, strict=True):
            wanted = manifest["metadata"]["ownerReferences"][0]["uid"]
            owners = (existing or {}).get("metadata", {}).get("ownerReferences") or []
            if existing is not None and wanted not in {o["uid"] for o in owners}:
                raise KubeError(
                    f"{ObjectKey.of(manifest)}",
                    409,
                    "exists and does not belong to this object; delete or rename one of the two",
                )

    async def _apply(self, manifest: Manifest) -> None:
        applied = await self._applied(manifest)
        generation = int(applied["metadata"].get("generation", 0))
        key = ObjectKey.of(manifest)
        self.memory = replace(
            self.memory,
            applied={**self.memory.applied, key: generation},
            sent={**self.memory.sent, key: datetime.now(UTC)},
        )

    async def _applied(self, manifest: Manifest) -> Manifest:
        """Apply, and win: entries that somebody added to a list stay, unless they are ours."""
        try:
            applied = await self.kube.apply(manifest)
        except KubeError as error:
            if error.status not in _CONFLICTS or not await self.kube.take_over(
                ObjectKey.of(manifest)
            ):
                raise
            return await self.kube.apply(manifest)
        if is_edited(applied, manifest) and await self.kube.take_over(ObjectKey.of(manifest)):
            return await self.kube.apply(manifest)
        return applied

    async def _write_status(self, body: Manifest, decided: Plan, now: datetime) -> bool:
        """Write it if it says something new; whether it does.

        What failed is not called better before it went well.
        """
        status = decided.status.model_dump(mode="json")
        generation = int(body["metadata"].get("generation", 1))
        if self.failing is not None and self.failing[0] == generation:
            _, reason, message = self.failing
            patch = failed(generation, dict(body.get("status") or {}), reason, message, now)
            status["conditions"][0] = patch["conditions"][0]
        if _stated(status) == _stated(body.get("status") or {}):
            return False
        meta = body["metadata"]
        _WRITES.labels("status", "LiveConnectCluster").inc()
        await self.kube.patch_status(_key(meta), status)
        return True

    async def _fail(self, body: Manifest, reason: str, message: str, now: datetime) -> timedelta:
        meta = body["metadata"]
        self.failures += 1
        self.failing = (int(meta.get("generation", 1)), reason, message)
        _PASSES.labels(reason).inc()
        _LOG.warning("%s/%s: %s: %s", meta["namespace"], meta["name"], reason, message)
        old = dict(body.get("status") or {})
        patch = failed(int(meta.get("generation", 1)), old, reason, message, now)
        if any(patch[k] != old.get(k) for k in patch):
            try:
                await self.kube.patch_status(_key(meta), patch)
            except KubeError as error:
                _LOG.warning("%s", error)
        jitter = 0.75 + secrets.randbelow(50) / 100
        backoff: timedelta = _RETRY * (1 << min(self.failures - 1, 5))
        return min(backoff, _MAX_RETRY) * jitter


def _fresh() -> Credentials:
    """Random values; who needs none of them drops them."""
    return Credentials(*(secrets.token_hex(32) for _ in range(3)))


def _content(secret: Manifest) -> dict[str, bytes]:
    data: dict[str, Any] = secret.get("data") or {}
    return {key: b64decode(value) for key, value in data.items()}


def _texts(secret: Manifest) -> dict[str, str]:
    return {key: value.decode(errors="replace") for key, value in _content(secret).items()}


def _key(meta: Manifest) -> ObjectKey:
    return ObjectKey(API_VERSION, KIND, meta["namespace"], meta["name"])


def auth_pod_view(pod: Manifest) -> AuthPodView:
    """What a plan needs of a pod of the auth service."""
    meta = pod["metadata"]
    return AuthPodView(
        name=meta["name"],
        uid=meta.get("uid", ""),
        ip=pod.get("status", {}).get("podIP", ""),
        ready=_is_ready(pod) and not meta.get("deletionTimestamp"),
    )


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _stated(value: Any) -> Any:
    """A value without what is null: in a patch that removes a field, in an object it is absent."""
    if isinstance(value, dict):
        return {key: _stated(one) for key, one in value.items() if one is not None}
    return [_stated(one) for one in value] if isinstance(value, list) else value


def _wave(action: Action) -> bool | None:
    """Whether it applies pods; None for what is done by itself, in its place."""
    if not isinstance(action, Apply):
        return None
    return action.manifest["kind"] in _WORKLOADS


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    """Do all at once, a few at a time; end when all have, with the first failure.

    Raises:
        KubeError: one failed.
    """
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(task: Awaitable[T]) -> T:
        async with limit:
            return await task

    done = await asyncio.gather(*(one(task) for task in work), return_exceptions=True)
    found = []
    for result in done:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found


def pod_view(pod: Manifest) -> PodView:
    """What a plan needs of a pod."""
    status, meta = pod.get("status", {}), pod["metadata"]
    return PodView(
        name=meta["name"],
        pool=Pool(meta["labels"]["liveconnect.io/pool"]),
        ip=status.get("podIP", ""),
        ready=_is_ready(pod),
        deleting=bool(meta.get("deletionTimestamp")),
        uid=meta.get("uid", ""),
        restarts=sum(int(c.get("restartCount", 0)) for c in status.get("containerStatuses") or []),
        version=meta.get("resourceVersion", ""),
        revision=meta["labels"].get("controller-revision-hash", ""),
        cookie=(meta.get("annotations") or {}).get(COOKIE_ANNOTATION, ""),
        node=pod.get("spec", {}).get("nodeName", ""),
        trouble=pod_trouble(pod),
    )


def volume_view(claim: Manifest) -> VolumeView:
    """What a plan needs of a volume claim."""
    meta, spec, status = claim["metadata"], claim["spec"], claim.get("status", {})
    marks = meta.get("annotations") or {}
    troubles = [
        f"{c['type']}: {c.get('message', '')}".strip(": ")[:200]
        for c in status.get("conditions") or []
        if c.get("status") == "True" and c["type"] != "Resizing"
    ]
    bound = status.get("phase") == "Bound"
    return VolumeView(
        name=meta["name"],
        uid=meta["uid"],
        requested=str(spec["resources"]["requests"]["storage"]),
        capacity=str(status.get("capacity", {}).get("storage", "")) if bound else "",
        storage_class=spec.get("storageClassName"),
        life=marks.get(LIFE_ANNOTATION, ""),
        retired=RETIRED_ANNOTATION in marks,
        owners=tuple(meta.get("ownerReferences") or ()),
        trouble="; ".join(troubles),
    )


def _explain(error: pydantic.ValidationError) -> str:
    """Every wrong field with its path, without the values (they may be long)."""
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}"
        for e in error.errors(include_input=False, include_url=False)
    )


async def run(
    reconciler: Reconciler, current: Callable[[], Manifest | None], wake: asyncio.Event
) -> None:
    """Reconcile for as long as the object exists: on every wake, and at the latest when due."""
    if reconciler.canary is not None:
        reconciler.canary.on_news = wake.set
    try:
        while (body := current()) is not None:
            wake.clear()
            due = await reconciler.reconcile(body)
            try:
                await asyncio.wait_for(wake.wait(), due.total_seconds())
                reconciler.wake()
                # Changes come in bursts (a StatefulSet, its pods, their endpoints): one pass for
                # all.
                await asyncio.sleep(0.2)
            except TimeoutError:
                continue
    finally:
        reconciler.expiry.forget()
        if reconciler.canary is not None:
            await reconciler.canary.close()
