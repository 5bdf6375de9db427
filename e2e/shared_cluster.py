"""The cluster that several test processes share: one brings it up, the others wait for it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from e2e import bringup
from e2e.kit.cluster import Cluster
from e2e.kit.eventually import eventually

#: A machine that has nothing builds Kubernetes first.
_WITHIN_SECONDS = 5400


class SharedCluster:
    """Up and down beside the tests, which do not all need it."""

    def __init__(self, outcome: Path) -> None:
        """Describe it.

        Args:
            outcome: the file that is there when it is up, empty, or when it cannot be, with why.
        """
        self.outcome = outcome
        self._stack = contextlib.ExitStack()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Bring it up."""
        self._beside(self._bring_up)

    def end(self) -> None:
        """Take it down, when it has come up."""
        before = tuple(self._threads)
        self._beside(lambda: self._take_down(before))

    def join(self) -> None:
        """Wait until all that was begun is done."""
        for thread in self._threads:
            thread.join()

    def _beside(self, step: Callable[[], None]) -> None:
        thread = threading.Thread(target=step)
        self._threads.append(thread)
        thread.start()

    def _bring_up(self) -> None:
        why = ""
        try:
            self._stack.enter_context(bringup.for_tests())
        except Exception as error:  # noqa: BLE001 - the scenarios fail, the other tests do not
            why = str(error) or repr(error)
        partial = self.outcome.with_suffix(f".{os.getpid()}")
        partial.write_text(why)
        partial.rename(self.outcome)

    def _take_down(self, before: tuple[threading.Thread, ...]) -> None:
        for thread in before:
            thread.join()
        self._stack.close()


def wait(outcome: Path) -> Cluster:
    """The shared cluster, from another process, when it is up.

    Raises:
        AssertionError: it could not be brought up, or was not in time.
    """
    eventually(outcome.exists, within=_WITHIN_SECONDS, every=0.5, what="the shared cluster")
    why = outcome.read_text()
    assert not why, f"no cluster for the scenarios: {why}"
    return bringup.reach(bringup.provider())
