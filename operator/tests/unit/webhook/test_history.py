"""A client's last changes are told for as long as the window says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from liveconnect.webhook.adapters.presence_store import Retention
from liveconnect.webhook.clients import Clients
from liveconnect.webhook.presence import Change, State

NOW = 1_700_000_000
AGES = (5, 3600, 3601, 9000)
"""Seconds since each change, the newest first."""


class Store:
    """Has changes of one client."""

    def __init__(self, window: int) -> None:
        self.retention = Retention(history_seconds=window)

    async def history(self, client_id: str) -> Sequence[Change]:
        return [Change(client_id, State.ONLINE, "a", (NOW - age) * 1000) for age in AGES]


class Parts:
    """As much of presence as is asked."""

    def __init__(self, window: int) -> None:
        self.store = Store(window)


@pytest.mark.parametrize(("window", "told"), [(10_000, 4), (3601, 3), (3600, 2), (60, 1), (1, 1)])
async def test_older_changes_are_left_out_but_for_the_last(window: int, told: int) -> None:
    """The last one is the state that the client still is in."""
    parts: Any = Parts(window)
    view = await Clients(parts, lambda: float(NOW)).history("phone")
    assert (view.window_seconds, len(view.changes)) == (window, told)
