"""Transition times of conditions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from liveconnect.api.v1alpha1 import Condition, ConditionStatus


def transition(
    old: dict[str, Any],
    kind: str,
    status: ConditionStatus,
    why: tuple[str, str],
    generation: int,
    now: datetime,
) -> Condition:
    """A condition whose transition time moves only when its status does."""
    before = old.get(kind)
    since = now
    if before and before.get("status") == status.value:
        since = datetime.fromisoformat(before["lastTransitionTime"])
    return Condition(
        type=kind,
        status=status,
        reason=why[0],
        message=why[1],
        lastTransitionTime=since,
        observedGeneration=generation,
    )
