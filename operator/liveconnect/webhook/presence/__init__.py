"""Who is there: how events change a client's record, and when the brokers are asked. Pure."""

from liveconnect.webhook.presence.change import Change, change_between
from liveconnect.webhook.presence.record import Record, State
from liveconnect.webhook.presence.transition import (
    GRACE_MS,
    SKEW_MS,
    Event,
    EventKind,
    transition,
)
from liveconnect.webhook.presence.watch import (
    LOOK_MS,
    Findings,
    Look,
    Open,
    Orders,
    Sighting,
    Watch,
    compare,
)

__all__ = [
    "GRACE_MS",
    "LOOK_MS",
    "SKEW_MS",
    "Change",
    "Event",
    "EventKind",
    "Findings",
    "Look",
    "Open",
    "Orders",
    "Record",
    "Sighting",
    "State",
    "Watch",
    "change_between",
    "compare",
    "transition",
]
