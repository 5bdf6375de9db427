"""Which of the gateway's pods knows a key.

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

    def elsewhere(self, caller: str, key: bytes) -> int | None:
        """Return the ordinal of the pod that a key belongs to; None if it is this one."""
        if self.replicas == 1:
            return None
        name = caller.encode() + b" " + key
        owner = max(range(self.replicas), key=lambda ordinal: _weight(ordinal, name))
        return None if owner == self.own else owner


def _weight(ordinal: int, name: bytes) -> bytes:
    return hashlib.blake2b(b"%d " % ordinal + name, digest_size=8).digest()
