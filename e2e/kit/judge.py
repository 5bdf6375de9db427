"""Compares presence with what the phones themselves know, all the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from e2e.kit.fleet import Fleet, Truth

_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Recorded:
    """What presence says of a client."""

    state: str
    node: str


@dataclass(frozen=True)
class Wrong:
    """A record that was wrong."""

    client_id: str
    seconds: float
    recorded: Recorded | None
    truth: Truth

    def __str__(self) -> str:
        """For the failure's message."""
        return f"{self.client_id}: {self.recorded} for {self.seconds:.1f} s, but {self.truth}"


class Judge:
    """Watches until its block ends.

    A record is wrong when it says online of a phone that is not connected, anything else of one
    that is, and when it says unknown for no node that is away. It is wrong since the phone last
    changed, the disturbance was over (`healed`), or presence could be asked again.
    """

    def __init__(
        self,
        fleet: Fleet,
        read: Callable[[], Mapping[str, Recorded]],
        node_of: Callable[[Truth], str | None] = lambda _: None,
    ) -> None:
        """Prepare to watch.

        Args:
            fleet: Who knows the truth.
            read: Asks presence for everybody; OSError when it cannot be asked.
            node_of: The node behind the door that a phone took, if that says it.
        """
        self._fleet = fleet
        self._read = read
        self._node_of = node_of
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="judge")
        self._wrong_since: dict[str, float] = {}
        self._healed_at = time.monotonic()
        self.worst: Wrong | None = None
        self.looks = 0
        """How often everybody was compared."""
        self.blind = 0
        """How often presence could not be asked."""

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join(60)

    def healed(self) -> None:
        """A disturbance is over: from now on the bound counts."""
        self._healed_at = time.monotonic()

    def wrong_now(self) -> list[Wrong]:
        """Compare once more; who is wrong."""
        recorded = self._read()
        return [
            Wrong(client_id, 0.0, recorded.get(client_id), truth)
            for client_id, truth in self._fleet.truth().items()
            if not self._is_right(truth, recorded.get(client_id))
        ]

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            before = self._fleet.truth()
            try:
                recorded = self._read()
            except (OSError, AssertionError):
                self.blind += 1
                self.healed()
                continue
            self.looks += 1
            self._compare(before, self._fleet.truth(), recorded)

    def _compare(
        self,
        before: Mapping[str, Truth],
        after: Mapping[str, Truth],
        recorded: Mapping[str, Recorded],
    ) -> None:
        now = time.monotonic()
        for client_id, truth in after.items():
            # Whoever changed while presence was read is not judged.
            record = recorded.get(client_id)
            if truth != before[client_id] or self._is_right(truth, record):
                self._wrong_since.pop(client_id, None)
                continue
            since = self._wrong_since.setdefault(client_id, now)
            seconds = now - max(since, truth.since, self._healed_at)
            if self.worst is None or seconds > self.worst.seconds:
                self.worst = Wrong(client_id, seconds, record, truth)

    def _is_right(self, truth: Truth, record: Recorded | None) -> bool:
        if record is None:
            return not truth.online
        if not truth.online:
            return record.state != "online"
        node = self._node_of(truth)
        return record.state == "online" and node in {None, record.node}
