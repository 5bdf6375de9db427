"""What a microservice asks to publish: parsed, checked, never guessed. Pure.

May not wait, look at the clock, or know of HTTP and MQTT clients.
"""

from liveconnect.gateway.messages.body import parse
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.message import Message
from liveconnect.gateway.messages.permissions import Permissions

__all__ = ["FaultKind", "Limits", "Message", "MessageError", "Permissions", "parse"]
