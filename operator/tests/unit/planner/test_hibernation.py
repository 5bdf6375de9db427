"""To sleep and back in the simulated world: no node leaves, no disk goes, nobody is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.controller.model.actions import (
    Apply,
    Delete,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    StopListeners,
    SuspendNode,
)
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.hibernation import (
    HIBERNATION_ANNOTATION,
    NODES_ANNOTATION,
    PODS_ANNOTATION,
    GatewayPods,
    Hibernation,
    Phase,
)
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Memory, Observed, Pool
from liveconnect.controller.planner import gateway_size, hibernation
from liveconnect.controller.planner.gateway_size import gateway_pods
from liveconnect.controller.planner.membership import plan_membership
from liveconnect.controller.planner.rotation import plan_rotation
from liveconnect.controller.planner.storage import entrusted
from tests.unit.planner.simulation import CREDENTIALS, Disk, World, parse
from tests.unit.planner.test_plan import condition, settled

_POOLS = tuple(ObjectKey("apps/v1", "StatefulSet", "ns", f"demo-{pool}") for pool in Pool)
_AUTH = ObjectKey("apps/v1", "Deployment", "ns", "demo-auth")
_STORE = ObjectKey("apps/v1", "StatefulSet", "ns", "demo-presence")
_GATEWAY = ObjectKey("apps/v1", "StatefulSet", "ns", "demo-gateway")


def running(world: World, key: ObjectKey) -> int:
    return int(world.children[key]["spec"]["replicas"])


def is_open(world: World, pool: Pool = Pool.SUBSCRIBER) -> bool:
    key = ObjectKey("v1", "Service", "ns", f"demo-{pool}")
    return "liveconnect.io/closed" not in world.children[key]["spec"]["selector"]


def put(world: World, *, hibernate: bool, subscribers: int = 3, **more: Any) -> None:
    generation = world.cluster.generation + 1
    world.cluster = parse(
        {"replicas": subscribers}, generation=generation, hibernate=hibernate, **more
    )


def check(world: World) -> None:
    """What must hold at every moment."""
    if running(world, _AUTH) == 0:
        assert not world.running, "a broker without its auth service says: not authorized"
    if is_open(world) and world.running:
        assert running(world, _AUTH) > 0
        assert running(world, _STORE) > 0
    for action in world.log:
        assert not isinstance(action, ForgetNode), "no node has died"
        if isinstance(action, Delete) and action.key.kind == "PersistentVolumeClaim":
            node = world.names.node(action.key.name.removeprefix("data-"))
            others = [d.members for p, d in world.disks.items() if world.names.node(p) != node]
            assert all(node not in members for members in others), "the disk of a member"
    world.log.clear()


def go(world: World, until: Any, within: int = 400) -> None:
    for _ in range(within):
        world.step()
        check(world)
        if until():
            return
    raise AssertionError(f"not reached: {world.status['conditions']}")


def asleep(world: World) -> bool:
    return condition(world, "Hibernated")["status"] == "True"


def awake(world: World) -> bool:
    assert world.plan is not None
    up = condition(world, "Hibernated")["reason"] == "Awake"
    return up and world.settled() and condition(world, "MeshVerified")["status"] == "True"


def sleeping(subscribers: int = 3) -> World:
    world = settled(subscribers)
    check(world)
    put(world, hibernate=True, subscribers=subscribers)
    go(world, lambda: asleep(world))
    return world


def test_everything_goes_in_order_and_every_disk_stays() -> None:
    world = settled(3)
    check(world)
    world.connections = dict.fromkeys(world.running, 10)
    disks = {pod: set(disk.members) for pod, disk in world.disks.items()}
    put(world, hibernate=True)
    first = world.step()
    assert all(isinstance(a, Apply) for a in first.actions)
    assert not is_open(world)
    assert not is_open(world, Pool.PUBLISHER)
    assert running(world, _GATEWAY) == 0
    assert len(world.running) == 5, "nobody is cut before the doors are closed"
    second = world.step()
    stops = [a for a in second.actions if isinstance(a, StopListeners)]
    assert len(stops) == 5
    assert all(a.cut for a in stops)
    assert len(world.running) == 5, "all nodes are there while clients are cut"
    go(world, lambda: not world.running)
    assert running(world, _AUTH) == 2, "the hooks of the last clients have somebody to ask"
    go(world, lambda: asleep(world))
    assert [running(world, key) for key in (*_POOLS, _AUTH, _STORE, _GATEWAY)] == [0] * 5
    assert {pod: disk.members for pod, disk in world.disks.items()} == disks
    assert not world.step().actions


def test_it_says_that_it_sleeps_and_how_to_wake_it() -> None:
    world = sleeping()
    ready = condition(world, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Hibernated")
    assert """kubectl patch liveconnect demo -n ns --type=merge -p '{"spec":""" in ready["message"]
    off = ("PublishersReady", "SubscribersReady", "AuthReady", "GatewayReady", "PresenceReady")
    for kind in (*off, "MeshVerified", "ScalingActive", "Progressing"):
        assert condition(world, kind)["status"] == "False", kind
    assert world.status["subscribers"]["summary"] == "0/0"


def test_it_wakes_behind_closed_doors_with_the_auth_service_first() -> None:
    world = sleeping()
    put(world, hibernate=False)
    world.down = {"demo-subscriber-2"}
    world.step()
    assert running(world, _AUTH) == 2
    assert not world.running
    for _ in range(60):
        world.step()
        check(world)
    assert len(world.running) == 4
    assert not is_open(world), "a client whose session is on the last node would get a second one"
    ready = condition(world, "Ready")
    assert ready["reason"] == "Waking"
    assert "1 pods of the subscriber pool" in ready["message"] or "subscriber-2" in ready["message"]
    world.down = set()
    go(world, lambda: awake(world))
    assert is_open(world)
    assert running(world, _GATEWAY) == 2
    assert not any(isinstance(a, JoinNode) for a in world.log)
    world.step()
    for key in _POOLS:
        assert HIBERNATION_ANNOTATION not in (world.children[key]["metadata"]["annotations"])


def test_a_node_that_does_not_come_back_does_not_keep_all_others_out_for_ever() -> None:
    world = sleeping()
    put(world, hibernate=False)
    world.down = {"demo-subscriber-2"}
    go(world, lambda: len(world.running) == 4)
    world.step()
    world.now += hibernation.WAKE_PATIENCE - timedelta(seconds=10)
    world.step()
    assert not is_open(world)
    world.now += timedelta(seconds=10)
    made = world.step()
    assert is_open(world)
    assert [(e.type, e.reason) for e in made.events if e.reason == "Awake"] == [
        ("Warning", "Awake")
    ]


def test_events_tell_each_transition_once() -> None:
    world = settled(2)
    put(world, hibernate=True, subscribers=2)
    said: list[str] = []

    def tell(until: Any) -> None:
        for _ in range(100):
            said.extend(e.reason for e in world.step().events)
            if until():
                return

    tell(lambda: asleep(world) and not world.step().events)
    put(world, hibernate=False, subscribers=2)
    tell(lambda: awake(world))
    words = ("Hibernating", "Hibernated", "Waking", "Awake")
    assert [w for w in said if w in words] == list(words)


def test_a_leave_is_finished_before_it_sleeps() -> None:
    world = settled(3)
    world.stuck = True
    put(world, hibernate=False, subscribers=2)
    for _ in range(5):
        world.step()
    put(world, hibernate=True, subscribers=2)
    for _ in range(20):
        world.step()
    assert is_open(world)
    waits = condition(world, "Hibernated")
    assert waits["reason"] == "HibernationWaits"
    assert "demo-subscriber-2 leaves the cluster first" in waits["message"]
    assert condition(world, "Ready")["reason"] != "Hibernating"
    world.stuck = False
    world.log.clear()
    go(world, lambda: asleep(world))
    assert "demo-subscriber-2" not in world.disks
    put(world, hibernate=False, subscribers=2)
    go(world, lambda: awake(world))
    assert world.replicas(Pool.SUBSCRIBER) == 2


def test_a_roll_gives_way_and_the_new_template_comes_with_the_waking_pods() -> None:
    world = settled(3)
    check(world)
    put(world, hibernate=False, image="broker:2")
    go(world, lambda: world.plan is not None and world.plan.status.drain is not None)
    put(world, hibernate=True, image="broker:2")
    go(world, lambda: asleep(world))
    put(world, hibernate=False, image="broker:2")
    go(world, lambda: awake(world))
    assert {p.revision for p in world.pods.values()} == {
        world.revision("demo-publisher-0"),
        world.revision("demo-subscriber-0"),
    }
    deleted = len(world.deletions)
    for _ in range(20):
        world.step()
    assert len(world.deletions) == deleted, "nothing is left to roll"


@pytest.mark.parametrize("subscribers", [1, 2, 5])
def test_another_size_waits_until_it_is_awake(subscribers: int) -> None:
    world = sleeping(3)
    put(world, hibernate=True, subscribers=subscribers)
    for _ in range(30):
        world.step()
        check(world)
    assert len(world.disks) == 5
    assert asleep(world)
    put(world, hibernate=False, subscribers=subscribers)
    go(world, lambda: len(world.running) == 5)
    go(world, lambda: awake(world) and world.replicas(Pool.SUBSCRIBER) == subscribers)
    # The leave is a whole one, and the volume goes after it.
    go(world, lambda: len(world.disks) == 2 + subscribers)


def test_turned_back_before_anybody_was_cut_it_just_opens_again() -> None:
    world = settled(3)
    put(world, hibernate=True)
    world.step()
    put(world, hibernate=False)
    go(world, lambda: awake(world))
    assert len(world.pods) == 5
    assert world.made == 5, "no pod was made anew"


def test_turned_back_after_that_it_goes_through_with_it_and_wakes() -> None:
    world = settled(3)
    put(world, hibernate=True)
    world.step()
    world.step()
    assert world.suspended
    put(world, hibernate=False)
    go(world, lambda: awake(world))
    assert world.made == 10
    assert not world.suspended


def test_an_object_that_is_made_asleep_makes_no_pod() -> None:
    world = World(parse({"replicas": 2}, hibernate=True))
    go(world, lambda: asleep(world))
    assert world.made == 0
    put(world, hibernate=False, subscribers=2)
    go(world, lambda: awake(world))
    assert len(world.running) == 4


def test_a_note_that_is_gone_is_made_up_for_by_the_volumes() -> None:
    world = sleeping(3)
    for key in _POOLS:
        for note in (HIBERNATION_ANNOTATION, NODES_ANNOTATION):
            del world.children[key]["metadata"]["annotations"][note]
    put(world, hibernate=False, subscribers=2)
    go(world, lambda: len(world.running) == 5)
    go(world, lambda: awake(world) and len(world.disks) == 4)


@pytest.mark.parametrize("replicas", [0, 1, 2, 5])
def test_a_number_of_pods_that_somebody_sets_is_no_leave(replicas: int) -> None:
    world = settled(3)
    check(world)
    put(world, hibernate=False, subscribers=2)
    key = ObjectKey("apps/v1", "StatefulSet", "ns", "demo-subscriber")
    world.children[key] = {
        **world.children[key],
        "spec": {**world.children[key]["spec"], "replicas": replicas},
    }
    world.children[key]["metadata"]["generation"] += 1
    world.live()
    world.memory = replace(world.memory, rest=None)
    world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 3, "the third one must leave, not vanish"
    check(world)
    go(world, lambda: len(world.disks) == 4)


def test_a_lost_disk_comes_back_in_by_itself() -> None:
    world = sleeping(3)
    world.disks["demo-subscriber-1"] = Disk({world.names.node("demo-subscriber-1")})
    put(world, hibernate=False)
    for _ in range(20):
        world.step()
        check(world)
    assert not is_open(world)
    world.disks["demo-subscriber-1"].members = set(world.disks["demo-subscriber-0"].members)
    go(world, lambda: awake(world))


def test_paused_it_neither_falls_asleep_nor_wakes() -> None:
    world = settled(2)
    put(world, hibernate=True, subscribers=2)
    notes = {"liveconnect.io/paused": "true"}
    world.cluster = world.cluster.model_copy(update={"annotations": notes})
    made = world.step()
    assert not made.actions
    assert not made.events
    assert "liveconnect.io/paused is set" in condition(world, "Hibernated")["message"]
    assert condition(world, "Ready")["status"] == "True", "it still serves"
    world = sleeping(2)
    put(world, hibernate=False, subscribers=2)
    world.cluster = world.cluster.model_copy(update={"annotations": notes})
    assert not world.step().actions
    assert "liveconnect.io/paused is set" in condition(world, "Hibernated")["message"]


def _rotating(world: World, credentials: Credentials, **asked: str) -> Any:
    marks = {f"liveconnect.io/rotate-{k.replace('_', '-')}": v for k, v in asked.items()}
    cluster = world.cluster.model_copy(update={"annotations": marks})
    fresh = Credentials("new-cookie", "new-key", "new-password")
    observed = replace(world.observe(), fresh=fresh)
    member = plan_membership(
        names=world.names,
        observed=observed,
        wanted=(),
        departure=None,
        patience=timedelta(minutes=1),
        now=world.now,
    )
    at = hibernation.phase(world.names, observed)
    return plan_rotation(cluster, world.names, credentials, observed, member, at)


def test_the_cookie_of_a_sleeping_cluster_changes_without_a_restart() -> None:
    world = sleeping(2)
    rotation = _rotating(world, CREDENTIALS, cookie="1")
    assert rotation.credentials.cookie == "new-cookie"
    assert not rotation.restarting
    again = _rotating(world, rotation.credentials, cookie="1")
    assert again.credentials == rotation.credentials


def test_an_api_key_is_not_rotated_while_no_node_can_be_told() -> None:
    world = sleeping(2)
    assert _rotating(world, CREDENTIALS, api_key="1").credentials == CREDENTIALS
    for half in (
        replace(CREDENTIALS, next_api_key="next"),
        replace(CREDENTIALS, previous_api_key="old"),
    ):
        rotation = _rotating(world, half)
        assert rotation.credentials == half
        assert "when the cluster is awake" in rotation.message


@pytest.mark.parametrize(("policy", "owned"), [("Retain", True), ("Delete", False)])
def test_claims_of_a_sleeping_pool_follow_the_deletion_policy(policy: str, owned: bool) -> None:
    world = sleeping(2)
    storage = {"retention": {"whenDeleted": policy}}
    world.cluster = parse({"replicas": 2, "storage": storage}, generation=9, hibernate=True)
    observed = world.observe()
    stranger = {"uid": "somebody"}
    if not owned:
        kept = {n: replace(v, owners=(stranger,)) for n, v in observed.volumes.items()}
        observed = replace(observed, volumes=kept)
    patches = entrusted(world.cluster, world.names, observed)
    pool = [p for p in patches if "subscriber" in p.key.name]
    assert [p.key.name for p in pool] == ["data-demo-subscriber-0", "data-demo-subscriber-1"]
    owners = [[o["uid"] for o in p.body["metadata"]["ownerReferences"]] for p in pool]
    left = [] if owned else ["somebody", "StatefulSet/demo-subscriber"]
    assert owners == [left, left]


def test_claims_of_pods_that_run_are_left_to_kubernetes() -> None:
    world = settled(2)
    storage = {"retention": {"whenDeleted": "Retain"}}
    world.cluster = parse({"replicas": 2, "storage": storage}, generation=9)
    assert entrusted(world.cluster, world.names, world.observe()) == ()


def test_the_autoscaler_stands_still_and_begins_anew() -> None:
    policy = {"minReplicas": 2, "maxReplicas": 5, "connectionsPerNode": 10}
    world = World(parse({"autoscaling": policy}))
    world.settle()
    world.connections = {"demo-subscriber-0": 20, "demo-subscriber-1": 20}
    for _ in range(100):
        world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 4
    world.cluster = parse({"autoscaling": policy}, generation=2, hibernate=True)
    go(world, lambda: asleep(world))
    assert condition(world, "ScalingActive")["status"] == "False"
    assert world.memory.recommendations == ()
    world.cluster = parse({"autoscaling": policy}, generation=3)
    go(world, lambda: awake(world))
    assert world.replicas(Pool.SUBSCRIBER) == 4


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sleep", "wake", "image", "forget"]),
        st.integers(1, 4),
        st.integers(0, 40),
    ),
    max_size=4,
)


@settings(max_examples=8, deadline=None)
@given(_STEPS)
def test_whatever_is_asked_for_when_no_member_loses_its_disk(
    steps: list[tuple[str, int, int]],
) -> None:
    world = settled(3)
    check(world)
    image, hibernate = 1, False
    for what, subscribers, seconds in steps:
        hibernate = what == "sleep" or (hibernate and what != "wake")
        image += what == "image"
        if what == "forget":
            world.memory = Memory()  # another operator goes on
        put(world, hibernate=hibernate, subscribers=subscribers, image=f"broker:{image}")
        for _ in range(seconds):
            world.step()
            check(world)
    last = world.cluster.spec.subscribers.replicas or 2
    put(world, hibernate=False, subscribers=last, image=f"broker:{image}")
    go(world, lambda: awake(world) and len(world.disks) == 2 + last, within=800)
    assert is_open(world)
    assert hibernation.phase(world.names, world.observe()) is Phase.AWAKE


def test_a_step_is_never_a_leave() -> None:
    world = settled(3)
    world.log.clear()
    put(world, hibernate=True)
    for _ in range(30):
        world.step()
    put(world, hibernate=False)
    for _ in range(60):
        world.step()
    assert not [a for a in world.log if isinstance(a, SuspendNode | EvacuateNode | ForgetNode)]
    assert not [a for a in world.log if isinstance(a, Delete)]


def gateway_of(world: World, pods: int) -> None:
    """Let the object ask for so many pods of the gateway."""
    spec = world.cluster.spec
    gateway = spec.gateway.model_copy(update={"replicas": pods})
    changed = {"spec": spec.model_copy(update={"gateway": gateway})}
    world.cluster = world.cluster.model_copy(
        update={**changed, "generation": world.cluster.generation + 1}
    )


def sleep_with_gateway(before: int, after: int) -> World:
    """A cluster that fell asleep with so many pods of the gateway, and shall have others."""
    world = settled(2)
    gateway_of(world, before)
    for _ in range(3):
        world.step()
    put(world, hibernate=True, subscribers=2)
    gateway_of(world, before)
    go(world, lambda: asleep(world))
    gateway_of(world, after)
    return world


def wake(world: World, gateway: int) -> None:
    put(world, hibernate=False, subscribers=2)
    gateway_of(world, gateway)


def test_no_pod_of_the_gateway_stays_away_whose_volume_may_hold_messages() -> None:
    world = sleep_with_gateway(3, 1)
    for _ in range(5):
        world.step()
    assert running(world, _GATEWAY) == 0
    said = condition(world, "Hibernated")["message"]
    assert "demo-gateway has 3 pods as before its sleep" in said
    assert said.endswith("then spec.gateway.replicas: 1")
    wake(world, 1)
    go(world, lambda: running(world, _GATEWAY) > 0)
    assert running(world, _GATEWAY) == 3
    config = world.children[ObjectKey("v1", "ConfigMap", "ns", "demo-gateway")]
    assert '"replicas": 3' in config["data"]["config.json"], "keys stay with their pods"
    begun = world.now
    world.memory = replace(world.memory, emptying=None)  # another operator: it waits anew
    go(world, lambda: running(world, _GATEWAY) != 3)
    assert world.now - begun >= gateway_size.EMPTYING
    assert running(world, _GATEWAY) == 1
    go(world, lambda: condition(world, "Ready")["status"] == "True")
    assert PODS_ANNOTATION not in world.children[_GATEWAY]["metadata"]["annotations"]
    # Awake, it shrinks at once, as ever.
    gateway_of(world, 3)
    world.step()
    gateway_of(world, 2)
    world.step()
    assert running(world, _GATEWAY) == 2


def test_a_pod_of_the_gateway_that_does_not_come_back_is_waited_for_and_named() -> None:
    world = sleep_with_gateway(2, 1)
    wake(world, 1)
    go(world, lambda: running(world, _GATEWAY) > 0)
    world.children[_GATEWAY]["status"]["readyReplicas"] = 1
    for _ in range(100):
        world.step()
    assert running(world, _GATEWAY) == 2
    assert "demo-gateway: 1/2 pods ready" in condition(world, "Ready")["message"]
    world.children[_GATEWAY]["status"]["readyReplicas"] = 2
    world.step()
    said = condition(world, "Ready")
    assert (said["status"], said["reason"]) == ("False", "RollingOut")
    assert "demo-gateway has 2 pods as before its sleep" in said["message"]
    go(world, lambda: running(world, _GATEWAY) == 1)


@given(
    before=st.integers(1, 5),
    during=st.lists(st.integers(1, 5), max_size=4),
    ready=st.lists(st.integers(0, 5), max_size=30),
)
def test_the_gateway_wakes_as_large_as_it_was_or_shall_be(
    before: int, during: list[int], ready: list[int]
) -> None:
    """Whatever is asked for while it sleeps, and whenever pods come and go after it."""
    names, now = Names("demo", "ns"), World(parse({})).now
    child: dict[str, Any] = {"metadata": {"generation": 1}, "spec": {"replicas": before}}
    memory, wanted = Memory(), before
    for wanted in [before, *during]:
        observed = Observed(children={_GATEWAY: child}, memory=memory)
        made = gateway_pods(wanted, names, observed, Hibernation(Phase.ASLEEP), now)
        assert made.awake == max(before, wanted)
        assert bool(made.message) == (wanted < before)
        child = {"metadata": {"annotations": made.annotations()}, "spec": {"replicas": 0}}
    whole_since = None
    for pods in ready:
        now += timedelta(seconds=10)
        child["metadata"]["generation"] = 2
        child["status"] = {"observedGeneration": 2, "readyReplicas": pods}
        observed = Observed(children={_GATEWAY: child}, memory=memory)
        made = gateway_pods(wanted, names, observed, Hibernation(), now)
        whole_since = (whole_since or now) if pods >= before else None
        if wanted >= before:
            assert made == GatewayPods(wanted)
            break
        emptied = whole_since is not None and now - whole_since >= gateway_size.EMPTYING
        assert made == (GatewayPods(wanted) if emptied else GatewayPods(before, before))
        if emptied:
            break
        memory = replace(memory, emptying=made.since)
