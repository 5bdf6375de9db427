"""Who is there: how events change a client's record. Pure."""

from liveconnect.webhook.presence.record import Record, State
from liveconnect.webhook.presence.transition import SKEW_MS, Event, EventKind, transition

__all__ = ["SKEW_MS", "Event", "EventKind", "Record", "State", "transition"]
