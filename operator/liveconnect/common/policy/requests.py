"""What is asked for. The hooks' bodies are this as they stand, and so are the simulator's."""

from __future__ import annotations

from typing import Protocol


class Publication(Protocol):
    """A message that a client wants to publish, or to have as its will."""

    @property
    def client_id(self) -> str:
        """Who."""

    @property
    def topic(self) -> str:
        """Where to."""

    @property
    def qos(self) -> int:
        """Quality of service, 0 to 2."""

    @property
    def retain(self) -> bool:
        """Whether the broker shall keep it."""

    @property
    def payload_bytes(self) -> int | None:
        """Size of its payload (bytes); None if that is not known."""


class Subscription(Protocol):
    """A topic filter that a client wants to subscribe to."""

    @property
    def topic(self) -> str:
        """The filter, `$share/<group>/` included."""

    @property
    def qos(self) -> int:
        """Wanted quality of service, 0 to 2."""
