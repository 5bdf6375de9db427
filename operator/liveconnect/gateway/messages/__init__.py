"""What a microservice asks to publish: parsed, checked, never guessed. Pure.

May not wait, look at the clock, or know of HTTP and MQTT clients.
"""

from liveconnect.gateway.messages.address import Address, Topics
from liveconnect.gateway.messages.batch import parse_line, split_batch
from liveconnect.gateway.messages.body import parse, parse_request
from liveconnect.gateway.messages.checks import check_length
from liveconnect.gateway.messages.events import (
    STRUCTURED,
    binary_event,
    is_binary_event,
    structured_event,
)
from liveconnect.gateway.messages.fanout import FanoutRequest, parse_fanout
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.message import Message
from liveconnect.gateway.messages.permissions import Permissions
from liveconnect.gateway.messages.preference import Preference, parse_preference
from liveconnect.gateway.messages.properties import Properties
from liveconnect.gateway.messages.publication import Delivery, Publication
from liveconnect.gateway.messages.query import parse_plain, parse_plain_request
from liveconnect.gateway.messages.question import Question, RequestId

__all__ = [
    "STRUCTURED",
    "Address",
    "Delivery",
    "FanoutRequest",
    "FaultKind",
    "Limits",
    "Message",
    "MessageError",
    "Permissions",
    "Preference",
    "Properties",
    "Publication",
    "Question",
    "RequestId",
    "Topics",
    "binary_event",
    "check_length",
    "is_binary_event",
    "parse",
    "parse_fanout",
    "parse_line",
    "parse_plain",
    "parse_plain_request",
    "parse_preference",
    "parse_request",
    "split_batch",
    "structured_event",
]
