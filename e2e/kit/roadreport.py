"""What bad networks cost: a table for people, a file for the next run to compare with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path("build/bad-networks.json")
_HEAD = (
    "network", "qos", "mqtt", "messages", "lost", "repeated", "reconnects", "seconds", "bytes up",
    "bytes down", "lost packets",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What one phone saw of one network."""

    network: str
    qos: str
    version: str
    messages: int
    lost: int
    """Of these, those that never arrived."""
    repeated: int
    """Arrivals beyond the first of each message."""
    reconnects: int
    seconds: float
    """From the first post to the last message's arrival."""
    bytes_up: int
    """From the phone: TCP's payload, or whole packets where those are counted."""
    bytes_down: int
    """From the broker, what was lost on the way included."""
    lost_packets: int | None = None
    """None where nobody counts them."""


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of a table."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


def write(rows: Sequence[Row]) -> None:
    """Keep the rows."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.network, row.qos, row.version, str(row.messages), str(row.lost),
        str(row.repeated),
        str(row.reconnects), f"{row.seconds:.1f}", str(row.bytes_up), str(row.bytes_down),
        "" if row.lost_packets is None else str(row.lost_packets),
    )  # fmt: skip
