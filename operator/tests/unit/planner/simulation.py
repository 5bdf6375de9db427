"""A simulated cluster: what Kubernetes and VerneMQ do with the planner's actions.

The rules are VerneMQ's contract (operations.md): joins settle later, only an empty node may join, a
node that left or was forgotten believes in its old disk, restarts keep the disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import (
    Action,
    Apply,
    Delete,
    DisconnectClients,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    SetOptions,
    StartListeners,
    StopListeners,
    SuspendNode,
)
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import Manifest, ObjectKey, digest
from liveconnect.controller.model.marks import mark
from liveconnect.controller.model.mesh import Delivery, MeshView, Target
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import (
    BrokerView,
    Memory,
    Observed,
    PodView,
    Pool,
    VolumeView,
)
from liveconnect.controller.planner.plan import Plan, plan
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.rendering import RenderSettings

SETTINGS = RenderSettings(
    image="liveconnect:test",
    image_pull_policy="IfNotPresent",
    presence_image="valkey:test",
    operator_version="0.0.0",
)
CREDENTIALS = Credentials("cookie", "key", "password")
JOIN_SECONDS = 8
SPREAD_SECONDS = 3


def parse(
    subscribers: dict[str, Any],
    publishers: int = 2,
    generation: int = 1,
    image: str = "broker:1",
    *,
    hibernate: bool = False,
) -> Cluster:
    jwt = {"issuer": "i", "audiences": ["a"], "jwksURI": "https://i/jwks"}
    return Cluster.parse(
        {
            "metadata": {"name": "demo", "namespace": "ns", "uid": "u", "generation": generation},
            "spec": {
                "broker": {"image": image},
                "publishers": {"replicas": publishers},
                "subscribers": subscribers,
                "auth": {"tokens": [{"jwt": jwt}]},
                "hibernate": hibernate,
            },
        }
    )


@dataclass
class Disk:
    """A node's volume: its member list is what survives a restart."""

    members: set[str]
    dirty: bool = False


@dataclass
class Pod:
    """A pod: made from a template, and made anew when it is deleted."""

    uid: str
    revision: str
    node: str = ""


@dataclass
class World:
    """Kubernetes and VerneMQ, one second at a time."""

    cluster: Cluster
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    children: dict[ObjectKey, Manifest] = field(default_factory=dict)
    generations: dict[ObjectKey, int] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    bad_revisions: set[str] = field(default_factory=set)
    deletions: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    exited: set[str] = field(default_factory=set)
    joining: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    status: Manifest = field(default_factory=dict)
    stuck: bool = False
    """Whether migrations do not come to an end."""
    queues: dict[str, int] = field(default_factory=dict)
    made: int = 0
    options: dict[str, dict[str, str]] = field(default_factory=dict)
    """What each node was told to run with."""
    cordoned: set[str] | None = field(default_factory=set)
    """Kubernetes nodes that take no pods; None: the operator may not read them. Every pod is made
    on one of its own."""
    down: set[str] = field(default_factory=set)
    """Pods that do not come up."""
    mesh: MeshView | None = None
    """What the canary found; None: there is no canary. An empty view sets it going."""
    lost: set[tuple[str, str]] = field(default_factory=set)
    """Pods between which no messages get."""
    untried: dict[str, str] = field(default_factory=dict)
    """Pods that do not let the canary in, and why."""
    late: set[ObjectKey] = field(default_factory=set)
    """Workloads whose controller looks at nothing."""
    kinds: set[str] = field(default_factory=set)
    """Types of the conditions that were told."""
    log: list[Action] = field(default_factory=list)
    plan: Plan | None = None

    @property
    def names(self) -> Names:
        return Names(self.cluster.name, self.cluster.namespace)

    def replicas(self, pool: Pool) -> int:
        key = ObjectKey("apps/v1", "StatefulSet", "ns", self.names.pool(pool))
        return int(self.children[key]["spec"]["replicas"]) if key in self.children else 0

    def wanted(self) -> list[str]:
        return [self.names.pod(p, i) for p in Pool for i in range(self.replicas(p))]

    def observe(self) -> Observed:
        views = {}
        for pod in sorted(self.running):
            node = self.names.node(pod)
            members = {
                m: self.names.pod_of(m) in self.running for m in self.disks[pod].members | {node}
            }
            views[pod] = BrokerView(
                pod=pod,
                members=members,
                suspended=pod in self.suspended,
                connections=self.connections.get(pod, 0),
                queues=self.queues.get(pod, 0),
            )
        pods = tuple(
            PodView(
                name=pod,
                pool=Pool.SUBSCRIBER if "-subscriber-" in pod else Pool.PUBLISHER,
                ip="10.0.0.1",
                ready=pod in self.running
                and pod not in self.suspended
                and len(self.disks[pod].members) > 1,
                deleting=False,
                uid=self.pods[pod].uid,
                node=self.pods[pod].node,
                trouble="" if self.pods[pod].node else "Unschedulable: no node takes it",
                revision=self.pods[pod].revision,
            )
            for pod in self.wanted()
            if pod in self.pods
        )
        claims = {self.names.claim(pod): f"claim-{pod}" for pod in self.disks}
        return Observed(
            children=self.children,
            cordoned=None if self.cordoned is None else frozenset(self.cordoned),
            marks={key: mark(child) for key, child in self.children.items()},
            pods=pods,
            brokers=views,
            claims=claims,
            volumes={
                n: VolumeView(
                    name=n,
                    uid=u,
                    requested="1Gi",
                    capacity="1Gi",
                    owners=({"uid": f"StatefulSet/{n.removeprefix('data-').rpartition('-')[0]}"},),
                )
                for n, u in claims.items()
            },
            status=self.status,
            memory=self.memory,
            mesh=self.mesh,
        )

    def step(self, *, killed_after: int | None = None) -> Plan:
        """One pass of the operator, then one second of the world.

        Args:
            killed_after: so many actions are done; then the process ends, with all that it knew and
                before it has written the status. None: it goes through.
        """
        made = plan(self.cluster, SETTINGS, CREDENTIALS, {}, self.observe(), self.now)
        self.plan, self.memory = made, made.memory
        self.listen(made)
        for action in made.actions[:killed_after]:
            self.log.append(action)
            self.act(action)
        if killed_after is None:
            self.status = made.status.model_dump(mode="json")
        else:
            self.memory = Memory()
        self.now += timedelta(seconds=1)
        if self.mesh is not None:
            self.mesh = self.tried(made.targets)
        self.live()
        return made

    def tried(self, targets: tuple[Target, ...]) -> MeshView:
        """One round of the canary; a client before the join would make a node unjoinable."""
        assert self.mesh is not None
        for target in targets:
            assert len(self.disks[target.pod].members) > 1, "non_empty_node"
            assert target.pod not in self.suspended
        lives = {target.life for target in targets}
        pairs = {p: d for p, d in self.mesh.pairs.items() if lives >= set(p)}
        for a, b in permutations(targets, 2):
            if not {a.pod, b.pod} & self.untried.keys():
                took = None if (a.pod, b.pod) in self.lost else 0.004
                pairs[a.life, b.life] = Delivery(self.now, took)
        faults = {t.life: self.untried[t.pod] for t in targets if t.pod in self.untried}
        return MeshView(pairs=pairs, faults=faults)

    def listen(self, made: Plan) -> None:
        """Words come from one list, and a condition that was told once is never taken away."""
        kinds = {c.type for c in made.status.conditions}
        words = {c.reason for c in made.status.conditions} | {e.reason for e in made.events}
        assert words <= set(Reason), words - set(Reason)
        assert self.kinds <= kinds, self.kinds - kinds
        self.kinds = kinds

    def act(self, action: Action) -> None:  # noqa: C901, PLR0912 - one case for each action
        match action:
            case Apply(manifest, _):
                key = ObjectKey.of(manifest)
                self.generations[key] = self.generations.get(key, 0) + 1
                applied = {**manifest, "metadata": {**manifest["metadata"], "uid": str(key)}}
                applied["metadata"]["generation"] = self.generations[key]
                if key.kind in {"StatefulSet", "Deployment"} and key not in self.late:
                    revision = digest(manifest["spec"]["template"])
                    applied["status"] = {
                        "updateRevision": revision,
                        "observedGeneration": self.generations[key],
                        "replicas": manifest["spec"]["replicas"],
                        "readyReplicas": manifest["spec"]["replicas"],
                        "updatedReplicas": manifest["spec"]["replicas"],
                    }
                self.children[key] = applied
                applied_now = {**self.memory.applied, key: self.generations[key]}
                self.memory = replace(self.memory, applied=applied_now)
            case Delete(key, _, _):
                self.delete(key)
            case JoinNode(pod, discovery):
                node = self.names.node(pod)
                assert self.disks[pod].members == {node}, "non_empty_node"
                if self.disks[pod].dirty:
                    uid = self.pods[pod].uid
                    refusals = {**self.memory.refusals}
                    refusals[uid] = refusals.get(uid, 0) + 1
                    self.memory = replace(self.memory, refusals=refusals)
                    return
                self.joining[pod] = (self.now + timedelta(seconds=JOIN_SECONDS), discovery)
            case SuspendNode(pod, _) | StopListeners(pod):
                self.suspended.add(pod)
                if isinstance(action, StopListeners) and action.cut:
                    self.connections[pod] = 0
            case StartListeners(pod):
                self.suspended.discard(pod)
            case SetOptions():
                self.configure(action)
            case DisconnectClients(pod, _, count):
                assert pod in self.suspended, "clients would come back at once"
                self.connections[pod] = max(self.connections[pod] - count, 0)
            case EvacuateNode(_, node):
                pod = self.names.pod_of(node)
                assert pod in self.suspended, "clients would come back at once"
                if self.stuck:
                    return
                self.drop(node)
                self.disks[pod] = Disk({node}, dirty=True)
                self.suspended.discard(pod)
                self.connections.pop(pod, None)
            case ForgetNode(_, node):
                assert self.names.pod_of(node) not in self.running, "a live node is not forgotten"
                self.drop(node)

    def configure(self, action: SetOptions) -> None:
        life = next((p.life for p in self.observe().pods if p.name == action.pod), None)
        if life is None or action.pod not in self.running:
            return  # it has gone in the same pass: nobody answers
        given = {**self.memory.options, life: digest(action.options)}
        self.memory = replace(self.memory, options=given)
        self.options[action.pod] = dict(action.options)

    def drop(self, node: str) -> None:
        for pod, disk in self.disks.items():
            if self.names.node(pod) != node:
                disk.members.discard(node)

    def delete(self, key: ObjectKey) -> None:
        if key.kind == "PersistentVolumeClaim":
            pod = key.name.removeprefix("data-")
            self.disks.pop(pod, None)
            self.stop(pod)
        elif key.kind == "Pod":
            self.deletions.append(key.name)
            self.stop(key.name)
            self.pods.pop(key.name, None)
        else:
            self.children.pop(key, None)

    def cordon(self, pod: str) -> None:
        """The Kubernetes node that a pod runs on takes no more pods."""
        assert self.cordoned is not None
        self.cordoned.add(self.pods[pod].node)

    def evict(self, pod: str) -> bool:
        """What Kubernetes makes of an eviction; whether the pod goes."""
        pool = Pool.SUBSCRIBER if "-subscriber-" in pod else Pool.PUBLISHER
        key = ObjectKey("policy/v1", "PodDisruptionBudget", "ns", self.names.pool(pool))
        budget, pods = self.children[key]["spec"], self.observe().pool(pool)
        expected = self.replicas(pool)
        healthy = sum(p.ready for p in pods)
        wanted: int = budget.get("minAvailable", expected - budget.get("maxUnavailable", 0))
        if any(p.ready for p in pods if p.name == pod):
            allowed = healthy > wanted
        else:
            always = budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
            allowed = always or healthy >= wanted > 0
        if allowed:
            self.stop(pod)
            self.pods.pop(pod)
        return allowed

    def stop(self, pod: str) -> None:
        """A node's process ends: its clients go to other nodes, its listeners open at its start."""
        self.running.discard(pod)
        self.suspended.discard(pod)
        self.connections.pop(pod, None)

    def revision(self, pod: str) -> str:
        pool = Pool.SUBSCRIBER if "-subscriber-" in pod else Pool.PUBLISHER
        key = ObjectKey("apps/v1", "StatefulSet", "ns", self.names.pool(pool))
        return str(self.children[key]["status"]["updateRevision"])

    def live(self) -> None:
        """StatefulSets make and remove pods; joins settle; gossip brings empty members back."""
        wanted = set(self.wanted())
        for pod in self.running - wanted:
            self.stop(pod)
        self.pods = {name: pod for name, pod in self.pods.items() if name in wanted}
        for pod in sorted(wanted):
            self.disks.setdefault(pod, Disk({self.names.node(pod)}))
            if pod not in self.pods:
                self.made += 1
                node = f"machine-{self.made}"
                self.pods[pod] = Pod(f"uid-{self.made}", self.revision(pod), node)
            if self.pods[pod].revision in self.bad_revisions:
                self.stop(pod)
            elif pod not in self.down:
                self.running.add(pod)
        # A join ends with the node that joins, and with its disk.
        self.joining = {pod: join for pod, join in self.joining.items() if pod in self.disks}
        for pod, (due, discovery) in list(self.joining.items()):
            if self.now >= due:
                # The one that joins sees the others before they see it.
                group = set(self.disks[self.names.pod_of(discovery)].members)
                self.disks[pod].members |= {*group, self.names.node(pod)}
                if self.now < due + timedelta(seconds=SPREAD_SECONDS):
                    continue
                del self.joining[pod]
                for member in {*group, self.names.node(pod)}:
                    self.disks[self.names.pod_of(member)].members |= {*group, self.names.node(pod)}

    def settle(self, seconds: int = 200) -> None:
        """Run until a pass plans nothing and everything is one cluster."""
        for _ in range(seconds):
            self.step()
            if self.settled():
                return
        raise AssertionError(f"not settled: {self.log[-8:]}")

    def settled(self) -> bool:
        assert self.plan is not None
        whole = {self.names.node(p) for p in self.wanted()}
        agreed = all(self.disks[p].members == whole for p in self.wanted())
        under_way = self.plan.status.drain is not None or self.joining
        return not self.plan.actions and agreed and not under_way
