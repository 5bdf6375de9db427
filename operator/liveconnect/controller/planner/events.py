"""What a pass says to the people who watch the object."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.controller.model.actions import (
    Action,
    Apply,
    Delete,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    Patch,
    SetOptions,
    StartListeners,
    StopListeners,
    SuspendNode,
)
from liveconnect.controller.model.manifest import TEMPLATE_ANNOTATION, Manifest, ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.cause import causes
from liveconnect.controller.planner.drift import CLASS_CHANGED
from liveconnect.controller.planner.intent import Intent
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.sizes import Sizes


@dataclass(frozen=True)
class Event:
    """A Kubernetes event on the cluster object."""

    type: str
    reason: str
    message: str


def announce(
    names: Names, size: Sizes, intent: Intent, actions: tuple[Action, ...], observed: Observed
) -> tuple[Event, ...]:
    """The events of a pass that does these actions."""
    return (
        *_resized(size, intent),
        *_restarts(names, actions, observed),
        *(event for action in actions for event in _of(action)),
    )


def _resized(size: Sizes, intent: Intent) -> list[Event]:
    events = []
    for pool in Pool:
        old, new = size.current[pool], intent.replicas[pool]
        if old and new != old:
            reason = Reason.SCALED_UP if new > old else Reason.SCALED_DOWN
            events.append(Event("Normal", reason, f"{pool.value} pool: {old} → {new} nodes"))
    return events


def _restarts(names: Names, actions: tuple[Action, ...], observed: Observed) -> list[Event]:
    """Which fields will restart the nodes of a pool."""
    applied = {ObjectKey.of(a.manifest): a.manifest for a in actions if isinstance(a, Apply)}
    events = []
    for pool in Pool:
        key = ObjectKey("apps/v1", "StatefulSet", names.namespace, names.pool(pool))
        config = ObjectKey("v1", "ConfigMap", names.namespace, names.pool(pool))
        old, new = observed.children.get(key), applied.get(key)
        if old is None or new is None or _template_hash(old) == _template_hash(new):
            continue
        before = observed.children.get(config, {})
        why = causes(old, new, before, applied.get(config, before))
        text = f"{pool.value} pool restarts node by node: {'; '.join(why)}"
        events.append(Event("Normal", Reason.ROLLING_OUT, text))
    return events


def _template_hash(stateful_set: Manifest) -> str:
    annotations = stateful_set["metadata"].get("annotations") or {}
    return str(annotations.get(TEMPLATE_ANNOTATION, ""))


def _of(action: Action) -> list[Event]:
    kind, said = "Normal", ("", "")
    match action:
        case Apply(manifest, why) if why in {"it was edited", "its metadata were edited"}:
            kind, said = "Warning", (Reason.REPAIRED, f"{ObjectKey.of(manifest)}: {why}, restored")
        case JoinNode(pod, discovery):
            said = (Reason.JOINING, f"{pod} joins by {discovery}")
        case SuspendNode(pod, _):
            said = (Reason.LEAVING, f"{pod} takes no new clients and will leave")
        case StopListeners(cut=False) | StartListeners():
            said = _doors(action)
        case EvacuateNode(_, node):
            said = (Reason.LEAVING, f"{node}: sessions and queues move away")
        case SetOptions(pod, options, checked, again=True):
            values = ", ".join(f"{key} = {options[key]}" for key in checked) or "defaults"
            said = (Reason.OPTIONS_SET, f"{pod} takes over without a restart: {values}")
        case ForgetNode(_, node):
            kind, said = "Warning", (Reason.FORGOTTEN, f"{node} is dead and is not wanted any more")
        case Delete() | Patch():
            said = (_CHANGES.get(_change(action), ""), f"{action.key}: {action.why}")
        case _:
            return []
    return [Event(kind, *said)] if said[0] else []


def _doors(action: StopListeners | StartListeners) -> tuple[str, str]:
    """Reason and message: a node takes no clients, or takes them again."""
    match action:
        case StartListeners(pod):
            return Reason.RETURNED, f"{pod} takes clients again: its node is not cordoned any more"
        case StopListeners(pod, cordoned=node) if node:
            return Reason.DRAINING, f"{pod} takes no new clients: {node} is cordoned"
        case StopListeners(pod):
            return Reason.RESTARTING, f"{pod} takes no new clients and will restart"


def _change(action: Delete | Patch) -> str:
    """What happens to an object, in a word."""
    if isinstance(action, Patch):
        return f"{action.key.kind} changed"
    return "anew" if action.orphan or action.why == CLASS_CHANGED else action.key.kind


_CHANGES = {
    "PersistentVolumeClaim changed": Reason.VOLUME_CHANGED,
    "anew": Reason.MADE_ANEW,
    "PersistentVolumeClaim": Reason.WIPED,
    "Pod": Reason.RESTARTING,
}
