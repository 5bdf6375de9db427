"""A node that is taken out of service on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from liveconnect.controller.model.names import (
    DRAIN_SINCE_ANNOTATION,
    LEAVING_ANNOTATION,
    RESTARTING_ANNOTATION,
)
from liveconnect.controller.model.observed import Pool


class Purpose(StrEnum):
    """Why a node is drained."""

    LEAVE = "Leave"
    """The pool shrinks: the node leaves the cluster, its volume goes."""
    RESTART = "Restart"
    """A change is rolled out: the pod is made anew, the node stays a member."""


@dataclass(frozen=True)
class Departure:
    """Written down on the pool's StatefulSet before anything is done.

    Another operator goes on where this one died.
    """

    pod: str
    purpose: Purpose
    since: datetime
    uid: str = ""
    """Uid of the pod that restarts: another one means that it has been made anew."""

    @property
    def pool(self) -> Pool:
        """The pool of its pod."""
        return Pool(self.pod.rsplit("-", 2)[1])

    def annotations(self) -> dict[str, str]:
        """How it is written down."""
        since = {DRAIN_SINCE_ANNOTATION: self.since.isoformat()}
        if self.purpose is Purpose.LEAVE:
            return {LEAVING_ANNOTATION: self.pod, **since}
        return {RESTARTING_ANNOTATION: f"{self.pod}/{self.uid}", **since}

    @classmethod
    def read(cls, annotations: Mapping[str, str], now: datetime) -> Departure | None:
        """Read it back; a time that cannot be read counts as now, which only costs time."""
        since = _time(annotations.get(DRAIN_SINCE_ANNOTATION, ""), now)
        if leaving := annotations.get(LEAVING_ANNOTATION):
            return cls(leaving, Purpose.LEAVE, since)
        if restarting := annotations.get(RESTARTING_ANNOTATION):
            pod, _, uid = restarting.partition("/")
            return cls(pod, Purpose.RESTART, since, uid)
        return None


def _time(text: str, now: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return now
