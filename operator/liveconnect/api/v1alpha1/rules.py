"""Topic rules: what devices may subscribe to and publish."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel, TopicFilter


class TopicAction(StrEnum):
    """What a device may do with a topic."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"


class TopicRule(ApiModel):
    """One predefined topic. What no rule allows is denied."""

    filter: TopicFilter
    """MQTT topic filter; `{clientId}` and `{claims.NAME}` stand for the device's own values."""
    allow: Annotated[list[TopicAction], Field(min_length=1, max_length=2)]
    """What devices may do."""
    groups: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=8)
    ] = []
    """Only for devices whose token names one of these groups; for all devices when empty."""
    maxQoS: Annotated[int, Field(ge=0, le=2)] = 2
    """Highest quality of service: subscriptions are granted at most this, publishes above it are
    refused."""
    allowRetain: bool = False
    """Whether devices may publish retained messages."""
    maxPayloadBytes: Annotated[int | None, Field(ge=0, le=268435455)] = None
    """Largest payload that devices may publish (bytes); the broker's `max_message_size` when not
    set."""
