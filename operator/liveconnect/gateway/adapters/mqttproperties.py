"""A message's properties as paho wants them, and as it has them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as MqttProperties

from liveconnect.gateway.messages import Properties
from liveconnect.gateway.replies import Reply


@lru_cache(maxsize=256)
def mqtt_properties(properties: Properties) -> MqttProperties:
    """Return the properties of a PUBLISH (MQTT 5, 3.3.2.3); nobody may change them."""
    made = MqttProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
    if properties.expiry is not None:
        made.MessageExpiryInterval = properties.expiry
    if properties.content_type is not None:
        made.ContentType = properties.content_type
    if properties.response_topic is not None:
        made.ResponseTopic = properties.response_topic
    if properties.correlation is not None:
        made.CorrelationData = properties.correlation
    if properties.user:
        made.UserProperty = list(properties.user)
    return made


def reply_of(message: mqtt.MQTTMessage) -> Reply:
    """Return the answer that a message is."""
    try:
        topic = message.topic
    except UnicodeDecodeError:
        topic = ""

    def given(name: str) -> Any:
        return getattr(message.properties, name, None)

    return Reply(
        topic,
        bytes(message.payload),
        given("ContentType"),
        given("CorrelationData"),
        tuple(given("UserProperty") or ()),
    )
