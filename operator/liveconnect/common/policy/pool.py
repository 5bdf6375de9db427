"""Where a client connects."""

from __future__ import annotations

from enum import StrEnum


class Pool(StrEnum):
    """A pool of brokers; part of the URL that its nodes call."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"
