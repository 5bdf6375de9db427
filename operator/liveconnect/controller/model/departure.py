"""A node that is taken out of service on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from liveconnect.controller.model.names import (
    DRAIN_SINCE_ANNOTATION,
    LEAVING_ANNOTATION,
    MAINTENANCE_ANNOTATION,
    RESTARTING_ANNOTATION,
)
from liveconnect.controller.model.observed import Pool


class Purpose(StrEnum):
    """Why a node is drained."""

    LEAVE = "Leave"
    """The pool shrinks: the node leaves the cluster, its volume goes."""
    RESTART = "Restart"
    """A change is rolled out: the pod is made anew, the node stays a member."""
    MAINTENANCE = "Maintenance"
    """Its Kubernetes node is cordoned: the pod waits without clients for its eviction."""


@dataclass(frozen=True)
class Departure:
    """Written down on the pool's StatefulSet before anything is done.

    Another operator goes on where this one died.
    """

    pod: str
    purpose: Purpose
    since: datetime
    uid: str = ""
    """Uid of the pod that shall go: another one means that it has been made anew."""

    @property
    def pool(self) -> Pool:
        """The pool of its pod."""
        return Pool(self.pod.rsplit("-", 2)[1])

    def annotations(self) -> dict[str, str]:
        """How it is written down."""
        since = {DRAIN_SINCE_ANNOTATION: self.since.isoformat()}
        if self.purpose is Purpose.LEAVE:
            return {LEAVING_ANNOTATION: self.pod, **since}
        note = _NOTES[self.purpose]
        return {note: f"{self.pod}/{self.uid}", **since}

    @classmethod
    def read(cls, annotations: Mapping[str, str], now: datetime) -> Departure | None:
        """Read it back; a time that cannot be read counts as now, which only costs time."""
        since = _time(annotations.get(DRAIN_SINCE_ANNOTATION, ""), now)
        if leaving := annotations.get(LEAVING_ANNOTATION):
            return cls(leaving, Purpose.LEAVE, since)
        for purpose, note in _NOTES.items():
            if noted := annotations.get(note):
                pod, _, uid = noted.partition("/")
                return cls(pod, purpose, since, uid)
        return None


_NOTES = {
    Purpose.RESTART: RESTARTING_ANNOTATION,
    Purpose.MAINTENANCE: MAINTENANCE_ANNOTATION,
}


def _time(text: str, now: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return now
