"""When a node's session list has to be read, and which nodes are lost. Pure.

Reading a list costs a node some 20 µs for each of its sessions, so signs are looked for first, and
they are cheap: a few metrics of each node, and how many clients the records have there. What gives
no sign at all is found by reading every list from time to time.

A watch belongs to one process and may be lost at any moment: a new one suspects every node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from liveconnect.webhook.presence.record import Record, State
from liveconnect.webhook.presence.transition import Event, EventKind

LOOK_MS: Final = 2000
"""Time between two looks."""
LOST_LOOKS: Final = 2
"""Looks in a row that a node must miss to be lost."""
GONE_LOOKS: Final = 3
"""Looks in a row that a node must miss, no member of the cluster any more, to be gone for good."""

_LIST_ROWS_PER_SECOND: Final = 10_000
"""Rows of a node that are read at most while there is a sign."""
_SWEEP_ROWS_PER_SECOND: Final = 1000
"""Rows of a node that are read without any sign."""
_SHORTEST_SWEEP_MS: Final = 10_000
_LONGEST_SWEEP_MS: Final = 120_000
_STEADY_LOOKS: Final = 5
"""Looks in a row without a difference that no list explains, after which the next one counts."""


class Sighting(msgspec.Struct, frozen=True):
    """What a look found of a node that answered."""

    connections: int
    """Open connections; a port scan's and a health check's as well."""
    uptime_ms: int
    """Since its process started."""
    hook_errors: int
    """Presence hooks that failed, since its process started."""


class Look(msgspec.Struct, frozen=True):
    """What one look found; nodes are named by their pods."""

    at: int
    """When it began (milliseconds since the epoch)."""
    answered: Mapping[str, Sighting]
    members: Collection[str] | None
    """Those in the member lists of the nodes that answered; None if no list could be read."""
    online: Mapping[str, int]
    """Clients that are online there by their records."""
    unknown: Mapping[str, int]
    """Clients that are there or nowhere."""
    suspicions: str = ""
    """Changes whenever a replica or the store may have lost events."""


class Orders(msgspec.Struct, frozen=True):
    """What is to be done after a look."""

    lists: tuple[str, ...] = ()
    """Nodes whose session list is to be read."""
    lost: tuple[str, ...] = ()
    """Nodes that do not answer: who was online there at `lost_since` is unknown now."""
    lost_since: int = 0
    """When the look before this one began; nodes that told of a client since are not lost to it."""
    gone: tuple[str, ...] = ()
    """Nodes that are no more: nobody is there."""


class Findings(msgspec.Struct, frozen=True):
    """A session list compared with the records."""

    seen: tuple[str, ...]
    """Listed, but not online there by their records."""
    absent: tuple[str, ...]
    """Not listed, now and the time before, but there by their records."""
    missing: frozenset[str]
    """Not listed for the first time: proves nothing yet."""

    def left_open(self) -> Open:
        """Return what has to be looked up again."""
        return Open(self.missing | frozenset(self.absent), frozenset(self.seen))

    def events(self, pod: str, at: int) -> tuple[Event, ...]:
        """Return what follows for the records.

        Args:
            pod: the node's.
            at: when reading the list began.
        """
        seen = (Event(EventKind.SEEN, client_id, pod, at) for client_id in self.seen)
        absent = (Event(EventKind.ABSENT, client_id, pod, at) for client_id in self.absent)
        return (*seen, *absent)


def compare(
    listed: Collection[str],
    online: Collection[str],
    unknown: Collection[str],
    missing_before: frozenset[str],
) -> Findings:
    """Compare a node's session list with the records.

    Args:
        listed: client ids of the list.
        online: client ids that are online there by their records.
        unknown: client ids that are there or nowhere.
        missing_before: the `missing` of the list before, those that are settled taken out.
    """
    listed, online = frozenset(listed), frozenset(online)
    unlisted = (online | frozenset(unknown)) - listed
    absent = unlisted & missing_before
    return Findings(tuple(sorted(listed - online)), tuple(sorted(absent)), unlisted - absent)


class Open(msgspec.Struct, frozen=True):
    """What a list left open; the hooks may settle it meanwhile, or another list has to."""

    missing: frozenset[str] = frozenset()
    """Clients that were not listed, once."""
    seen: frozenset[str] = frozenset()
    """Clients that were listed, but told of something else too shortly before."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.seen)

    def unsettled(self, pod: str, records: Mapping[str, Record | None]) -> Open:
        """Return what is open still.

        Args:
            pod: the node's.
            records: of these clients, as they are now.
        """
        return Open(
            frozenset(c for c in self.missing if _is_said_to_be_there(records.get(c), pod)),
            frozenset(c for c in self.seen if not _is_online_there(records.get(c), pod)),
        )


def _is_said_to_be_there(record: Record | None, pod: str) -> bool:
    return record is not None and record.node == pod and record.state is not State.OFFLINE


def _is_online_there(record: Record | None, pod: str) -> bool:
    return record is not None and record.node == pod and record.state is State.ONLINE


@dataclass
class _Node:
    """What is remembered of a node."""

    sighting: Sighting | None = None
    missed: int = 0
    due: bool = True
    listed_at: int | None = None
    difference: int = 0
    """Connections that no record tells of, at the last look."""
    asked: int | None = None
    """The difference when the list was ordered that is not compared yet."""
    explained: int = 0
    """The difference that a list found to be no clients."""
    fruitless_pause: int = 0
    """Time from one list to the next while differences turn out to be no clients."""
    steady_looks: int = 0
    open: Open = field(default_factory=Open)

    def lasts(self, difference: int) -> bool:
        """Note the difference of a look; return whether nothing explains it, as the time before."""
        new, before = difference - self.explained, self.difference - self.explained
        self.difference = difference
        self.steady_looks = 0 if new else self.steady_looks + 1
        if self.steady_looks >= _STEADY_LOOKS:
            self.fruitless_pause = 0
        return new * before > 0

    def explain(self) -> None:
        """Note that a list found nothing: what differed when it was ordered is no clients.

        Health checks are none, port scans, and who has not sent CONNECT yet. As long as their
        number stays, it is no sign; where it does not, it is one less and less often.
        """
        if self.asked is None or self.asked == self.explained:
            return
        self.explained = self.asked
        longest = sweep_ms(self.sighting.connections if self.sighting else 0)
        self.fruitless_pause = min(max(self.fruitless_pause * 2, 2 * LOOK_MS), longest)


class Watch:
    """Decides, look by look."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._suspicions: str | None = None
        self._looked_at: int | None = None

    def decide(self, look: Look) -> Orders:
        """Return what to do after a look."""
        if self._suspicions != look.suspicions:
            self._suspicions = look.suspicions
            for node in self._nodes.values():
                node.due = True
        known = {*self._nodes, *look.answered, *look.online, *look.unknown, *(look.members or ())}
        lists, lost, gone = [], [], []
        for pod in sorted(known):
            node = self._nodes.setdefault(pod, _Node())
            sighting = look.answered.get(pod)
            if sighting is not None:
                if _wants_list(node, pod, sighting, look):
                    lists.append(pod)
                    # Repeated while it is read: what differs later, it says nothing of.
                    node.asked = node.difference if node.asked is None else node.asked
                continue
            node.missed += 1
            node.due, node.asked = True, None  # read as soon as it is back
            if _is_gone(node, pod, look):
                gone.append(pod)
            elif node.missed >= LOST_LOOKS:
                lost.append(pod)
        for pod in gone:
            if not look.online.get(pod) and not look.unknown.get(pod):
                del self._nodes[pod]
        since, self._looked_at = self._looked_at, look.at
        return Orders(tuple(lists), tuple(lost), since or look.at, tuple(gone))

    def left_open(self) -> Mapping[str, Open]:
        """Return what the last lists left open, by node: to be looked up before the next look."""
        return {pod: node.open for pod, node in self._nodes.items() if node.open}

    def still_open(self, pod: str, left: Open) -> None:
        """Note what of it the hooks did not settle meanwhile: that needs another list."""
        node = self._nodes[pod]
        node.open = left
        node.due = node.due or bool(left)

    def noted(self, pod: str, at: int, *, repaired: int, left: Open) -> None:
        """Note that a node's list was read and compared.

        Args:
            pod: the node.
            at: when reading began.
            repaired: records that were wrong.
            left: what cannot be decided yet.
        """
        node = self._nodes.setdefault(pod, _Node())
        node.listed_at, node.due, node.open = at, False, left
        if repaired or left:
            node.fruitless_pause = 0
        else:
            node.explain()
        node.asked = None

    def missing(self, pod: str) -> frozenset[str]:
        """Return the clients that a node's list did not have the time before."""
        return self._nodes[pod].open.missing if pod in self._nodes else frozenset()

    def oldest_list_at(self) -> int | None:
        """Return when reading the oldest of the newest lists began; None before all were read."""
        times = [node.listed_at for node in self._nodes.values() if node.missed == 0]
        return None if not times or None in times else min(at for at in times if at is not None)


def _wants_list(node: _Node, pod: str, sighting: Sighting, look: Look) -> bool:
    before, node.sighting, node.missed = node.sighting, sighting, 0
    online = look.online.get(pod, 0)
    lasting = node.lasts(sighting.connections - online)
    node.due = node.due or bool(look.unknown.get(pod)) or _gives_a_sign(before, sighting)
    if node.listed_at is None:
        return True
    age = look.at - node.listed_at
    rows = max(sighting.connections, online)
    if node.due or (lasting and age >= node.fruitless_pause):
        return age >= list_pause_ms(rows)
    return age >= sweep_ms(rows)


def list_pause_ms(rows: int) -> int:
    """Return the least time from one list of so many rows to the next one (milliseconds)."""
    return rows * 1000 // _LIST_ROWS_PER_SECOND


def sweep_ms(rows: int) -> int:
    """Return how often a list of so many rows is read without any sign (milliseconds)."""
    wanted = rows * 1000 // _SWEEP_ROWS_PER_SECOND
    return min(max(wanted, _SHORTEST_SWEEP_MS), _LONGEST_SWEEP_MS)


def _gives_a_sign(before: Sighting | None, now: Sighting) -> bool:
    """Whether hooks may be missing: it is new, was started again, or failed to tell."""
    if before is None or now.uptime_ms < before.uptime_ms:
        return True
    return now.hook_errors != before.hook_errors


def _is_gone(node: _Node, pod: str, look: Look) -> bool:
    return node.missed >= GONE_LOOKS and look.members is not None and pod not in look.members
