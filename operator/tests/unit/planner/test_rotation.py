"""Rotation of API key and cookie: step by step, killed at every one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import AddApiKey, Delete, RemoveApiKey
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import COOKIE_ANNOTATION, Manifest, ObjectKey
from liveconnect.controller.model.mesh import MeshView
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import BrokerView, Memory, Observed, PodView, Pool
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.plan import plan
from liveconnect.controller.planner.rotation import Rotation, plan_rotation
from liveconnect.controller.rendering import RenderInputs, render
from tests.unit.planner.simulation import SETTINGS, parse
from tests.unit.planner.simulation import World as Simulation

NAMES = Names("demo", "ns")
PODS = ("demo-publisher-0", "demo-publisher-1", "demo-subscriber-0", "demo-subscriber-1")
OLD = Credentials("cookie", "old", "password")
FRESH = Credentials("new-cookie", "new", "unused")
AUTH = ObjectKey("apps/v1", "Deployment", "ns", "demo-auth")


def asked(**annotations: str) -> Cluster:
    named = {f"liveconnect.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return parse({}).model_copy(update={"annotations": named})


def whole(**changes: Any) -> Membership:
    nodes = frozenset(NAMES.node(p) for p in PODS)
    return Membership(
        **{"actions": (), "core": nodes, "missing": (), "states": {}, "memory": Memory(), **changes}
    )


@dataclass
class World:
    """The nodes' keys, the Secret, and the auth service's pods."""

    cluster: Cluster = field(default_factory=lambda: asked(rotate_api_key="1"))
    secret: Credentials = OLD
    accepted: dict[str, set[str]] = field(default_factory=lambda: {p: {"old"} for p in PODS})
    auth_current: bool = True
    said: list[str] = field(default_factory=list)

    def observed(self) -> Observed:
        keys = self.secret.api_keys
        views = {
            pod: BrokerView(
                pod=pod,
                members={NAMES.node(pod): True},
                accepts_current=keys.current in accepted,
                accepts_other=bool(keys.other) and keys.other in accepted,
            )
            for pod, accepted in self.accepted.items()
        }
        ready = 2 if self.auth_current else 1
        deployment: Manifest = {
            "metadata": {"generation": 3},
            "spec": {"replicas": 2},
            "status": {
                "observedGeneration": 3, "replicas": 2, "updatedReplicas": ready,
                "readyReplicas": ready,
            },
        }  # fmt: skip
        return Observed(
            pods=tuple(pod_view(p) for p in self.accepted),
            brokers=views,
            children={AUTH: deployment},
            fresh=FRESH,
            memory=Memory(applied={AUTH: 3}),
        )

    def step(self, membership: Membership | None = None, *, killed_after: int = 99) -> Rotation:
        """One pass; the Secret is written first, then so many actions before it is killed."""
        made = plan_rotation(
            self.cluster, NAMES, self.secret, self.observed(), membership or whole()
        )
        keys = made.credentials.api_keys
        self.secret = made.credentials
        for action in made.actions[:killed_after]:
            match action:
                case AddApiKey(pod):
                    missing = keys.other if keys.current in self.accepted[pod] else keys.current
                    self.accepted[pod].add(missing)
                case RemoveApiKey(pod):
                    self.accepted[pod].discard(keys.other)
                case _:
                    raise AssertionError(action)
        self.said.append(made.message)
        for pod, accepted in self.accepted.items():
            assert accepted & {keys.current, keys.other}, f"{pod} cannot be asked any more"
        return made

    def done(self) -> bool:
        return self.secret == replace(OLD, api_key="new", api_key_rotation="1")


def pod_view(name: str, cookie: str = OLD.cookie_digest, **changes: Any) -> PodView:
    pool = Pool.SUBSCRIBER if "-subscriber-" in name else Pool.PUBLISHER
    fields = {"ip": "10.0.0.1", "ready": True, "deleting": False, "uid": f"uid-{name}"}
    return PodView(name=name, pool=pool, cookie=cookie, **{**fields, **changes})


def test_nothing_is_rotated_unasked_or_twice() -> None:
    world = World(cluster=asked())
    assert not world.step().under_way
    world = World(secret=replace(OLD, api_key_rotation="1"))
    assert not world.step().under_way
    assert world.secret.api_key == "old"


def test_the_new_key_is_everywhere_before_it_is_used_and_the_old_one_goes_last() -> None:
    world = World()
    first = world.step()
    assert (world.secret.api_key, world.secret.next_api_key) == ("old", "new")
    assert first.actions == ()  # written down before anything is done
    assert world.step().actions == tuple(AddApiKey(p) for p in PODS)
    assert world.secret.api_key == "old"
    world.step()
    assert (world.secret.api_key, world.secret.previous_api_key) == ("new", "old")
    assert world.step().actions == tuple(RemoveApiKey(p) for p in PODS)
    last = world.step()
    assert world.done()
    assert all(keys == {"new"} for keys in world.accepted.values())
    assert [reason.value for _, reason, _ in last.news] == ["ApiKeyRotated"]
    assert not world.step().under_way


def test_the_old_key_stays_while_the_auth_service_may_use_it() -> None:
    world = World()
    for _ in range(3):
        world.step()
    world.auth_current = False
    for _ in range(3):
        assert world.step().actions == ()
    assert all("old" in keys for keys in world.accepted.values())
    world.auth_current = True
    world.step()
    world.step()
    assert world.done()


def test_a_lone_node_gets_no_key_it_could_never_join() -> None:
    world = World()
    world.step()
    for membership in (
        whole(missing=("demo-subscriber-1",)),
        whole(core=frozenset()),
    ):
        assert world.step(membership).actions == ()
    assert world.step().actions


def test_a_silent_node_is_waited_for() -> None:
    world = World()
    world.step()
    observed = world.observed()
    mute = BrokerView(pod=PODS[3], problem="timeout", accepts_current=False)
    silent = replace(observed, brokers={**observed.brokers, PODS[3]: mute})
    made = plan_rotation(world.cluster, NAMES, world.secret, silent, whole())
    assert made.actions == tuple(AddApiKey(p) for p in PODS[:3])
    assert PODS[3] in made.message


@given(
    kills=st.lists(st.integers(0, 4), max_size=12),
    restarts=st.lists(st.sampled_from(PODS), max_size=6),
)
def test_killed_anywhere_with_nodes_restarting_it_ends_with_the_new_key_alone(
    kills: list[int], restarts: list[str]
) -> None:
    world = World()
    for number, after in enumerate(kills):
        world.step(killed_after=after)
        if number < len(restarts):
            # It comes back with all the keys that its Secret holds now (start.sh).
            keys = (world.secret.api_key, *(k for k in (world.secret.api_keys.other,) if k))
            world.accepted[restarts[number]] = set(keys)
    for _ in range(8):
        world.step()
    assert world.done()
    assert all(keys == {"new"} for keys in world.accepted.values())


def rendered(credentials: Credentials) -> dict[ObjectKey, Manifest]:
    inputs = RenderInputs(credentials=credentials, replicas=dict.fromkeys(Pool, 2))
    made = {ObjectKey.of(m): m for m in render(asked(), SETTINGS, inputs)}
    for manifest in made.values():
        manifest["metadata"]["generation"] = 1
        manifest["status"] = {"observedGeneration": 1}
    return made


def cookies(credentials: Credentials, pods: tuple[PodView, ...], children: Any) -> Rotation:
    observed = Observed(pods=pods, children=children, fresh=FRESH)
    return plan_rotation(asked(rotate_cookie="1"), NAMES, credentials, observed, whole())


def test_a_new_cookie_restarts_all_nodes_at_once_when_both_templates_name_it() -> None:
    pods = tuple(pod_view(p) for p in PODS)
    begun = cookies(OLD, pods, rendered(OLD))
    assert begun.credentials == replace(OLD, cookie="new-cookie", cookie_rotation="1")
    assert begun.restarting
    assert begun.actions == ()
    ((kind, reason, message),) = begun.news
    assert (kind, reason.value) == ("Warning", "RotatingCookie")
    assert "every client is disconnected" in message
    waiting = cookies(begun.credentials, pods, rendered(OLD))
    assert (waiting.restarting, waiting.actions) == (True, ())
    now = cookies(begun.credentials, pods, rendered(begun.credentials))
    assert [a.key.name for a in now.actions if isinstance(a, Delete)] == list(PODS)
    # An operator that was killed half-way goes on with those that are left.
    new = begun.credentials.cookie_digest
    half = (pod_view(PODS[0], new), pod_view(PODS[1], deleting=True), *pods[2:])
    rest = cookies(begun.credentials, half, rendered(begun.credentials))
    assert [a.key.name for a in rest.actions if isinstance(a, Delete)] == list(PODS[2:])
    done = cookies(begun.credentials, tuple(pod_view(p, new) for p in PODS), {})
    assert not done.under_way


SPLIT = "no messages get from demo-publisher-0 to demo-subscriber-1"


def torn() -> Membership:
    return whole(torn=True, held=SPLIT)


@given(splits=st.lists(st.booleans(), max_size=12), kills=st.lists(st.integers(0, 4), max_size=12))
def test_a_key_waits_in_every_split_and_both_are_valid(
    splits: list[bool], kills: list[int]
) -> None:
    world = World()
    for split, after in zip_longest(splits, kills, fillvalue=0):
        before = (world.secret, {pod: set(keys) for pod, keys in world.accepted.items()})
        finished = world.done()
        made = world.step(torn() if split else whole(), killed_after=after)
        if split:
            assert (world.secret, world.accepted) == before
            assert made.under_way != finished
            assert finished or (made.message.startswith("API key: ") and SPLIT in made.message)
    for _ in range(8):
        world.step()
    assert world.done()


@pytest.mark.parametrize(
    ("split", "why"),
    [
        (torn(), SPLIT),
        (whole(split=(PODS[3],), missing=(PODS[3],)), f"with the others: {PODS[3]}"),
    ],
)
def test_a_cookie_is_not_made_in_a_split(split: Membership, why: str) -> None:
    pods = tuple(pod_view(p) for p in PODS)
    observed = Observed(pods=pods, children=rendered(OLD), fresh=FRESH)
    cluster = asked(rotate_cookie="1")
    made = plan_rotation(cluster, NAMES, OLD, observed, split)
    assert (made.credentials, made.restarting, made.actions, made.news) == (OLD, False, (), ())
    assert made.reason.value == "RotatingCookie"
    assert made.message.startswith("cookie: the rotation begins when the nodes are one cluster")
    assert why in made.message
    assert plan_rotation(cluster, NAMES, OLD, observed, whole()).restarting


@given(new=st.sets(st.sampled_from(PODS)), going=st.sets(st.sampled_from(PODS)))
def test_a_cookie_that_has_begun_goes_on_although_its_halves_are_split(
    new: set[str], going: set[str]
) -> None:
    begun = replace(OLD, cookie="new-cookie", cookie_rotation="1")
    pods = tuple(
        pod_view(p, begun.cookie_digest if p in new else OLD.cookie_digest, deleting=p in going)
        for p in PODS
    )
    observed = Observed(pods=pods, children=rendered(begun), fresh=FRESH)
    made = plan_rotation(asked(rotate_cookie="1"), NAMES, begun, observed, torn())
    left = [p for p in PODS if p not in new]
    assert [a.key.name for a in made.actions] == [p for p in left if p not in going]  # type: ignore[union-attr]
    assert made.restarting == bool(left)
    assert made.under_way == bool(left), "nothing more is asked for"


@pytest.mark.parametrize("what", ["cookie", "api-key"])
def test_a_rotation_that_waits_for_a_split_is_in_the_status(what: str) -> None:
    world = Simulation(parse({"replicas": 2}))
    world.settle()
    world.mesh = MeshView()
    for _ in range(3):
        world.step()
    annotations = {f"liveconnect.io/rotate-{what}": "1"}
    cluster = world.cluster.model_copy(update={"annotations": annotations})
    for lost in (True, False):
        world.lost = {("demo-publisher-0", "demo-subscriber-1")} if lost else set()
        for _ in range(3):
            world.step()
        observed = replace(world.observe(), fresh=FRESH)
        made = plan(cluster, SETTINGS, OLD, {}, observed, world.now)
        said = {c.type: c for c in made.status.conditions}["CredentialsRotating"]
        assert said.status.value == "True"
        assert (SPLIT in said.message) is lost
        assert (made.credentials == OLD) is lost


def test_neither_key_nor_cookie_is_in_the_template_and_a_key_restarts_no_broker() -> None:
    one, two = rendered(OLD), rendered(replace(OLD, api_key="other", next_api_key="third"))
    for pool in Pool:
        key = ObjectKey("apps/v1", "StatefulSet", "ns", NAMES.pool(pool))
        assert one[key]["spec"]["template"] == two[key]["spec"]["template"]
        annotations = one[key]["spec"]["template"]["metadata"]["annotations"]
        assert annotations[COOKIE_ANNOTATION] == OLD.cookie_digest
        assert OLD.cookie not in annotations[COOKIE_ANNOTATION]


def test_a_new_object_with_the_annotation_is_not_rotated() -> None:
    begun = Credentials("c", "k", "p", api_key_rotation="1", cookie_rotation="1")
    both = asked(rotate_api_key="1", rotate_cookie="1")
    made = plan_rotation(both, NAMES, begun, Observed(fresh=FRESH), whole())
    assert not made.under_way


def test_no_secret_is_in_any_representation() -> None:
    world = World()
    made = world.step()
    shown = f"{made!r} {world.observed()!r} {world.step()!r} {OLD.api_keys!r}"
    for value in ("old", "new", "new-cookie", "password"):
        assert f"'{value}'" not in shown


def test_secrets_are_in_secrets_only_and_in_no_environment() -> None:
    values = ["a-cookie", "a-key", "a-password", "a-next", "a-previous"]
    cookie, api_key, password, following, previous = values
    made = rendered(
        Credentials(cookie, api_key, password, next_api_key=following, previous_api_key=previous)
    )
    for key, manifest in made.items():
        text = json.dumps(manifest)
        if key.kind != "Secret":
            assert not [value for value in values if value in text], key
        assert "secretKeyRef" not in text, key
        assert "envFrom" not in text, key
