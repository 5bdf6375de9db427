"""What is needed of the store besides presence."""

from __future__ import annotations

from typing import Any, Protocol


class Commands(Protocol):
    """Runs commands of Redis or Valkey."""

    async def pipelined(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Run commands in one round trip; return their answers, in order.

        Raises:
            StoreUnavailableError: one of them failed; others may have been run.
        """

    async def written(self, *commands: tuple[Any, ...]) -> None:
        """Run commands whose answers nobody wants; no argument of theirs is bytes.

        Raises:
            StoreUnavailableError: one of them failed; others may have been run.
        """
