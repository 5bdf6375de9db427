"""The plan: from one observation to actions, status and events. Pure, total, deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import Cluster, Disruption, Status, duration
from liveconnect.api.v1alpha1.cluster import RECONCILE_ANNOTATION
from liveconnect.controller.model.actions import Action, Apply, Delete
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.departure import Purpose
from liveconnect.controller.model.hibernation import Phase
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.mesh import Target
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import LoadSample, Memory, Observed, Pool
from liveconnect.controller.planner import storage
from liveconnect.controller.planner.certificate_report import certificate_news
from liveconnect.controller.planner.certificates import Certificates, plan_certificates
from liveconnect.controller.planner.change_over import plan_auth_api, plan_store
from liveconnect.controller.planner.drain import DrainStep, drain_step, progress
from liveconnect.controller.planner.drift import CHANGED, why_anew, why_apply
from liveconnect.controller.planner.events import Event, announce
from liveconnect.controller.planner.gateway_https import with_https
from liveconnect.controller.planner.hibernation import (
    Sleep,
    phase,
    plan_sleep,
    remembered,
    sleep_news,
)
from liveconnect.controller.planner.inforce import not_in_force
from liveconnect.controller.planner.intent import Intent, claims_from, decide
from liveconnect.controller.planner.maintenance import (
    evictions,
    maintenance_news,
    plan_maintenance,
    verdict,
)
from liveconnect.controller.planner.membership import Membership, plan_membership
from liveconnect.controller.planner.mesh import look_at_mesh, mesh_news
from liveconnect.controller.planner.options import plan_options
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.rest import is_at_rest, rest
from liveconnect.controller.planner.rollout import Rollout, plan_rollout
from liveconnect.controller.planner.rotation import Rotation, follows, plan_rotation
from liveconnect.controller.planner.service_certificates import with_gateway, with_hooks
from liveconnect.controller.planner.sizes import Sizes, sizes
from liveconnect.controller.planner.status import summarise
from liveconnect.controller.planner.store_tls import with_store
from liveconnect.controller.planner.topics import StatusWrite, plan_topics, remember_refreshes
from liveconnect.controller.rendering import RenderInputs, RenderSettings, render

#: How soon to look again: while something is under way, and when all is well.
BUSY = timedelta(seconds=2)
DRAINING = timedelta(seconds=1)
CALM = timedelta(seconds=10)
_SAMPLE_AGE = timedelta(seconds=60)


@dataclass(frozen=True)
class Plan:
    """What a pass shall do and say."""

    actions: tuple[Action, ...]
    status: Status
    events: tuple[Event, ...]
    resync: timedelta
    memory: Memory
    credentials: Credentials
    """As they stand in the applied Secrets."""
    topic_statuses: tuple[StatusWrite, ...] = ()
    """Statuses of topic objects that are to be written."""
    targets: tuple[Target, ...] = ()
    """Nodes between which messages are tried from now on."""


def plan(
    cluster: Cluster,
    settings: RenderSettings,
    credentials: Credentials,
    secret_digests: Mapping[str, str],
    observed: Observed,
    now: datetime,
) -> Plan:
    """Decide everything about one cluster object."""
    names = Names(cluster.name, cluster.namespace, settings.cluster_domain)
    budget = cluster.spec.subscribers.disruption
    size = sizes(cluster, names, observed, now)
    membership = plan_membership(
        names=names,
        observed=observed,
        wanted=_wanted(names, size),
        departure=size.departure,
        patience=duration(budget.drainTimeout),
        now=now,
    )
    mesh = look_at_mesh(
        names, observed, membership, size.departure.pod if size.departure else None, now
    )
    # Repairs go on in a split; what would take a node out of service waits.
    gated = replace(membership, torn=bool(mesh.split), held=mesh.held)
    rollout = plan_rollout(names, observed, gated, now)
    rotation = Rotation(credentials)
    if not cluster.paused:
        at = phase(names, observed)
        rotation = plan_rotation(cluster, names, credentials, observed, gated, at)
    if rotation.restarting:
        rollout = replace(rollout, drain=None, replace=None, waiting=rotation.message)
    if cluster.spec.auth.tls is not None and not follows(names, observed):
        # A broker of the new template may ask where no pod of the auth service answers yet.
        rollout = replace(rollout, drain=None, waiting=f"{names.auth} rolls out first")
    sleep = plan_sleep(
        cluster, names, size, observed, membership, now, restarting=rotation.restarting
    )
    size, membership, rollout = _held(sleep, size, membership, rollout)
    gated = replace(membership, torn=gated.torn, held=gated.held)
    upkeep = plan_maintenance(observed, gated, restarting=rotation.restarting)
    intent = decide(names, size, observed, gated, upkeep, rollout, now, sleep)
    certificates = _certificates(cluster, names, observed, credentials, now)
    quiet = intent.departure is None and size.departure is None and not sleep.holds
    growth = storage.grow(cluster, names, observed, quiet=quiet)
    topics = plan_topics(cluster, names, observed, now)
    inputs = RenderInputs(
        credentials=rotation.credentials,
        replicas=intent.replicas,
        departure=intent.departure,
        evictions=evictions(intent.replicas, intent.departure, budget, observed, now),
        hibernation=sleep.now,
        gateway=sleep.gateway,
        certificates=certificates.files,
        gateway_certificates=certificates.gateway,
        hooks_certificate=certificates.hooks,
        auth_api=plan_auth_api(cluster, names, observed),
        store_certificate=certificates.store,
        store=plan_store(cluster, names, observed),
        https_certificates=certificates.https,
        secret_digests=secret_digests,
        volume_sizes=growth.sizes,
        lives=storage.lives(observed),
        rules=topics.rules,
    )
    children = _children(cluster, settings, inputs, observed)
    step = _drain(intent, size, budget, names, observed, membership, now, sleep)
    step, rollout = _for_good(names, children, step, rollout, observed)
    actions: tuple[Action, ...] = (
        *children,
        *_stale_claims(names, intent.replicas, observed),
        # Before any pod goes in this pass.
        *plan_options(cluster, observed),
        *membership.actions,
        *((step.action,) if step.action else ()),
        *_replacements(names, intent, rollout, membership),
        *certificates.actions,
        *rotation.actions,
        *sleep.actions,
        *storage.renewed(names, membership.core, observed),
        *growth.actions,
        *storage.entrusted(cluster, names, observed),
        *topics.refreshes,
    )
    actions = storage.retained(cluster, names, observed, actions)
    if cluster.paused:
        actions = ()
    memory = replace(
        remembered(sleep, membership.memory),
        cuts=step.memory.cuts if actions else observed.memory.cuts,
        # Of this departure alone: the next node of the same name has queues of its own.
        migration=step.memory.migration if size.departure and not cluster.paused else None,
        revisions=rollout.revisions or {},
        options=_of_living(observed.memory.options, observed),
        samples=_samples(observed, now),
        recommendations=size.scale.recommendations if size.scale else (),
        reloads=certificates.reloads,
        refreshes=remember_refreshes(observed.memory, topics, now),
        rest=None if children or observed.memory.sent else rest(cluster, inputs, observed),
    )
    events = () if cluster.paused else announce(names, size, intent, actions, observed)
    if rotation.restarting:
        # They do not restart node by node, whatever a change of the template means otherwise.
        events = tuple(e for e in events if e.reason != Reason.ROLLING_OUT)
    told = (
        *certificate_news(certificates, observed.status, now),
        *mesh_news(mesh, observed.status),
        *rotation.news,
        *(() if cluster.paused else sleep_news(sleep, observed)),
        *(() if cluster.paused else maintenance_news(size.departure, budget, observed, now)),
    )
    events = (*events, *(Event(*one) for one in told))
    said = observed.memory.announced
    memory = replace(memory, announced=frozenset((e.reason, e.message) for e in events))
    drain = size.departure and progress(size.departure, budget, observed, memory, now)
    status = summarise(
        cluster,
        names,
        observed,
        size,
        membership,
        mesh,
        rollout,
        drain or None,
        certificates,
        rotation,
        sleep,
        verdict(upkeep, size.departure, budget, observed, now, paused=cluster.paused),
        not_in_force(cluster, children, observed),
        memory,
        now,
    )
    news = tuple(e for e in events if (e.reason, e.message) not in said)
    idle = membership.converged and topics.settled and not rotation.under_way
    calm = sleep.complete or (idle and not _under_way(intent, rollout, status))
    pace = CALM if calm and not actions else _pace(size)
    credentials = rotation.credentials
    return Plan(actions, status, news, pace, memory, credentials, topics.statuses, mesh.targets)


def _certificates(
    cluster: Cluster, names: Names, observed: Observed, credentials: Credentials, now: datetime
) -> Certificates:
    """Those of the listeners, and of the services between them."""
    placeholder = credentials.placeholder
    found = plan_certificates(cluster, names, observed, placeholder, now)
    found = with_gateway(found, cluster, names, observed, now)
    found = with_store(found, cluster, names, observed)
    found = with_hooks(found, cluster, names, observed, placeholder, now)
    return with_https(found, cluster, names, observed, placeholder, now)


def _children(
    cluster: Cluster, settings: RenderSettings, inputs: RenderInputs, observed: Observed
) -> tuple[Apply | Delete, ...]:
    """What makes the children what they ought to be."""
    asked = cluster.reconcile not in {"", observed.memory.reconciled}
    forced = f"{RECONCILE_ANNOTATION} asks for it" if asked else ""
    if not forced and is_at_rest(cluster, inputs, observed):
        return ()
    desired = render(cluster, settings, inputs)
    applies = [
        _made_anew(manifest, observed) or Apply(manifest, why)
        for manifest in desired
        if (why := why_apply(manifest, observed) or forced)
    ]
    return (*applies, *_prunes(desired, observed))


def _made_anew(desired: Manifest, observed: Observed) -> Delete | None:
    """The deletion of a child that cannot be changed in place; its absence is repaired."""
    why, key = why_anew(desired, observed), ObjectKey.of(desired)
    uid = observed.children[key]["metadata"].get("uid", "") if why else ""
    return Delete(key, uid, why) if why else None


def _for_good(
    names: Names,
    children: tuple[Apply | Delete, ...],
    step: DrainStep,
    rollout: Rollout,
    observed: Observed,
) -> tuple[DrainStep, Rollout]:
    """The same without what makes a pod anew, while it might be of a template that changes again.

    A node that was drained for one edit waits for the next one as it is, and restarts once.
    """
    if not rollout.unsettled and not _changes_templates(names, children):
        return step, rollout
    goes = isinstance(step.action, Delete)
    return DrainStep(None, observed.memory) if goes else step, replace(rollout, replace=None)


def _changes_templates(names: Names, children: tuple[Apply | Delete, ...]) -> bool:
    """Whether a pool's StatefulSet is changed by this very pass."""
    pools = {ObjectKey("apps/v1", "StatefulSet", names.namespace, names.pool(p)) for p in Pool}
    changed = (a.manifest for a in children if isinstance(a, Apply) and a.why == CHANGED)
    return any(ObjectKey.of(manifest) in pools for manifest in changed)


def _held(
    sleep: Sleep, size: Sizes, membership: Membership, rollout: Rollout
) -> tuple[Sizes, Membership, Rollout]:
    """What is planned besides, standing still on the way to sleep and back."""
    if sleep.holds:
        size = size.held()
        waiting = "spec.hibernate goes first"
        rollout = replace(rollout, drain=None, replace=None, waiting=waiting)
    if sleep.now.phase in {Phase.CLOSING, Phase.ASLEEP}:
        membership = replace(membership, actions=())
    return size, membership, rollout


def _wanted(names: Names, size: Sizes) -> tuple[str, ...]:
    """Pods that shall be members: those of the StatefulSets, but for the one that leaves."""
    leaving = size.leaving
    pods = [
        names.pod(pool, ordinal) for pool in Pool for ordinal in range(max(size.current[pool], 0))
    ]
    return tuple(p for p in pods if p != leaving)


def _drain(  # noqa: PLR0913 - everything that a pass knows
    intent: Intent,
    size: Sizes,
    budget: Disruption,
    names: Names,
    observed: Observed,
    membership: Membership,
    now: datetime,
    sleep: Sleep,
) -> DrainStep:
    """The step of a departure that is written down already: the note comes first."""
    if (
        sleep.now.closed
        or membership.actions
        or intent.departure is None
        or intent.departure != size.departure
    ):
        return DrainStep(None, observed.memory)
    return drain_step(intent.departure, budget, names, observed, observed.memory, now)


def _replacements(
    names: Names, intent: Intent, rollout: Rollout, membership: Membership
) -> tuple[Delete, ...]:
    """A broken pod of an older template; it serves nobody, so nothing is drained."""
    pod, departure = rollout.replace, intent.departure
    if pod is None or membership.actions:
        return ()
    if departure and (departure.purpose is not Purpose.MAINTENANCE or departure.pod == pod.name):
        return ()
    key = ObjectKey("v1", "Pod", names.namespace, pod.name)
    return (Delete(key, pod.uid, "it is not ready and its template has changed"),)


def _under_way(intent: Intent, rollout: Rollout, status: Status) -> bool:
    ready = all(c.status.value == "True" for c in status.conditions if c.type == "Ready")
    return intent.departure is not None or bool(rollout.outdated) or not ready


def _pace(size: Sizes) -> timedelta:
    return DRAINING if size.departure is not None else BUSY


def _stale_claims(names: Names, replicas: Mapping[Pool, int], observed: Observed) -> list[Delete]:
    """Volumes of nodes that have left, once their pods are gone."""
    alive = {names.claim(p.name) for p in observed.pods}
    return [
        Delete(
            ObjectKey("v1", "PersistentVolumeClaim", names.namespace, claim),
            observed.claims[claim],
            "its node has left the cluster and could not come back with this disk",
        )
        for pool in Pool
        for claim in claims_from(names, pool, replicas[pool], observed)
        if claim not in alive
    ]


def _prunes(desired: tuple[Manifest, ...], observed: Observed) -> list[Delete]:
    """Children that the object no longer asks for."""
    wanted = {ObjectKey.of(m) for m in desired}
    return [
        Delete(key, child["metadata"].get("uid", ""), "the object no longer asks for it")
        for key, child in sorted(observed.children.items())
        if key not in wanted and not child["metadata"].get("deletionTimestamp")
    ]


def _of_living(options: Mapping[str, str], observed: Observed) -> dict[str, str]:
    lives = {p.life for p in observed.pods}
    return {life: mark for life, mark in options.items() if life in lives}


def _samples(observed: Observed, now: datetime) -> tuple[LoadSample, ...]:
    """Load of the last minute; one older sample is kept as the base of the rate."""
    kept = [s for s in observed.memory.samples if now - s.at <= _SAMPLE_AGE]
    older = [s for s in observed.memory.samples if now - s.at > _SAMPLE_AGE][-1:]
    connects = {p: v.connects for p, v in observed.brokers.items() if v.reachable}
    canaries = observed.mesh.connects if observed.mesh is not None else {}
    return (*older, *kept, LoadSample(now, connects, canaries))
