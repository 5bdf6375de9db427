"""Which broker pods Kubernetes may evict: what a pool's PodDisruptionBudget stands for."""

from __future__ import annotations

from enum import StrEnum


class Evictions(StrEnum):
    """Of the pods of one pool."""

    UNREADY = "Unready"
    """Only a pod that serves nobody: a broken one, or one that was drained."""
    NONE = "None"
    """None at all. A node that is being drained is not ready either, but still has clients."""
    ONE_AT_A_TIME = "OneAtATime"
    """A serving pod, too, while all others are ready; its clients are cut by its pre-stop."""
