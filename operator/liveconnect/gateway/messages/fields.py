"""The fields of a message in JSON: read here, and the source of the API's description."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

_PAYLOAD: Final = {"type": ["string", "object", "array"]}
_STRINGS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_BASE64: Final = {"contentEncoding": "base64"}
_QOS: Final = {"enum": [0, 1, 2]}
_EXPIRY: Final = {"minimum": 1, "maximum": 4294967295}
DEFAULT_TIMEOUT: Final = 30
_DELIVERY: Final = {"enum": ["accepted", "online-only"]}

_Topic = Annotated[str, Meta(description="A topic name. Or give clientId, or group.")]
_ClientId = Annotated[str, Meta(description="The client that it is for.")]
_Group = Annotated[str, Meta(description="The group that it is for.")]
_Payload = Annotated[
    Raw, Meta(description="Text; or JSON, sent as it was written.", extra_json_schema=_PAYLOAD)
]
_PayloadBase64 = Annotated[
    str, Meta(description="Any bytes, instead of payload.", extra_json_schema=_BASE64)
]
_Qos = Annotated[int, Meta(description="MQTT's quality of service.", extra_json_schema=_QOS)]
_Retain = Annotated[bool, Meta(description="Whether brokers keep it for later subscribers.")]
_Expiry = Annotated[
    int,
    Meta(description="After so long brokers drop it undelivered.", extra_json_schema=_EXPIRY),
]
_ContentType = Annotated[str, Meta(description="Media type of the payload.")]
_UserProperties = Annotated[
    Raw, Meta(description="Names and values for the receiver.", extra_json_schema=_STRINGS)
]
_ResponseTopic = Annotated[str, Meta(description="Where the receiver is to answer.")]
_Correlation = Annotated[
    str, Meta(description="Given back with the answer.", extra_json_schema=_BASE64)
]
_Delivery = Annotated[
    str,
    Meta(
        description="online-only publishes only if the client is connected, otherwise 409.",
        extra_json_schema=_DELIVERY,
    ),
]
_Timeout = Annotated[
    int,
    Meta(
        description="How long an answer is waited for; more than 60 with Prefer: respond-async.",
        extra_json_schema={"minimum": 1, "maximum": 3600},
    ),
]


class Content(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """What is to be published, to whom, and how."""

    topic: _Topic | UnsetType = UNSET
    client_id: _ClientId | UnsetType = UNSET
    group: _Group | UnsetType = UNSET
    payload: _Payload | UnsetType = UNSET
    payload_base64: _PayloadBase64 | UnsetType = UNSET
    qos: _Qos = 1
    retain: _Retain = False
    message_expiry_seconds: _Expiry | UnsetType = UNSET
    content_type: _ContentType | UnsetType = UNSET
    user_properties: _UserProperties | UnsetType = UNSET
    response_topic: _ResponseTopic | UnsetType = UNSET
    correlation_data_base64: _Correlation | UnsetType = UNSET
    delivery: _Delivery | UnsetType = UNSET


class RequestContent(Content, forbid_unknown_fields=True, rename="camel", gc=False):
    """What a device is asked: a message, and how long its answer is waited for."""

    timeout_seconds: _Timeout = DEFAULT_TIMEOUT
