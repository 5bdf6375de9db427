"""The gateway's pods: which of them knows a key, and which are ready.

Each pod has an outbox of its own, so a retry has to reach the pod that the first attempt reached.
It is computed from caller and key: all pods come to the same one, and a pod that comes or goes
changes it for few keys only (rendezvous hashing).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

_ORDINAL: Final = re.compile(r"-([0-9]+)$")


class Peers(msgspec.Struct, frozen=True):
    """The gateway's pods."""

    replicas: int
    own: int
    """This pod's ordinal."""

    @classmethod
    def of(cls, replicas: int, pod: str) -> Peers:
        """Return the peers of a pod; one whose name has no ordinal is alone."""
        match = _ORDINAL.search(pod)
        return cls(1, 0) if match is None else cls(replicas, int(match[1]))

    @property
    def others(self) -> list[int]:
        """The other pods' ordinals."""
        return [ordinal for ordinal in range(self.replicas) if ordinal != self.own]

    def elsewhere(self, caller: str, key: bytes) -> int | None:
        """Return the ordinal of the pod that a key belongs to; None if it is this one."""
        if self.replicas == 1:
            return None
        name = caller.encode() + b" " + key
        owner = max(range(self.replicas), key=lambda ordinal: _weight(ordinal, name))
        return None if owner == self.own else owner


class ReadyPods:
    """Which of the pods are ready, as far as this one knows.

    One that has not been asked yet counts: callers' quotas are shared among the ready ones, and
    rather is a share too small for a moment than too large.
    """

    def __init__(self, peers: Peers) -> None:
        self._ready = set(peers.others)

    @property
    def count(self) -> int:
        """How many they are, this one included."""
        return 1 + len(self._ready)

    def note(self, ordinal: int, *, ready: bool) -> bool:
        """Note what another pod says; return whether it said something else before."""
        if ready == (ordinal in self._ready):
            return False
        self._ready ^= {ordinal}
        return True


def _weight(ordinal: int, name: bytes) -> bytes:
    return hashlib.blake2b(b"%d " % ordinal + name, digest_size=8).digest()
