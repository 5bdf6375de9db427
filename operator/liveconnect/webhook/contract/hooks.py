"""The names: which hooks there are, and what they are about."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Hook(StrEnum):
    """Every hook of vmq_webhooks (VerneMQ 2.1 and 2.2); value of the header `vernemq-hook`."""

    AUTH_ON_REGISTER = "auth_on_register"
    AUTH_ON_REGISTER_M5 = "auth_on_register_m5"
    AUTH_ON_PUBLISH = "auth_on_publish"
    AUTH_ON_PUBLISH_M5 = "auth_on_publish_m5"
    AUTH_ON_SUBSCRIBE = "auth_on_subscribe"
    AUTH_ON_SUBSCRIBE_M5 = "auth_on_subscribe_m5"
    ON_AUTH_M5 = "on_auth_m5"
    ON_REGISTER = "on_register"
    ON_REGISTER_M5 = "on_register_m5"
    ON_PUBLISH = "on_publish"
    ON_PUBLISH_M5 = "on_publish_m5"
    ON_SUBSCRIBE = "on_subscribe"
    ON_SUBSCRIBE_M5 = "on_subscribe_m5"
    ON_UNSUBSCRIBE = "on_unsubscribe"
    ON_UNSUBSCRIBE_M5 = "on_unsubscribe_m5"
    ON_DELIVER = "on_deliver"
    ON_DELIVER_M5 = "on_deliver_m5"
    ON_OFFLINE_MESSAGE = "on_offline_message"
    ON_CLIENT_WAKEUP = "on_client_wakeup"
    ON_CLIENT_OFFLINE = "on_client_offline"
    ON_CLIENT_GONE = "on_client_gone"
    ON_SESSION_EXPIRED = "on_session_expired"

    @property
    def mqtt5(self) -> bool:
        """Whether the client speaks MQTT 5, as far as the hook tells."""
        return self.value.endswith("_m5")


AUTH_HOOKS: Final = frozenset(
    {
        Hook.AUTH_ON_REGISTER,
        Hook.AUTH_ON_REGISTER_M5,
        Hook.AUTH_ON_PUBLISH,
        Hook.AUTH_ON_PUBLISH_M5,
        Hook.AUTH_ON_SUBSCRIBE,
        Hook.AUTH_ON_SUBSCRIBE_M5,
        Hook.ON_AUTH_M5,
    }
)
"""Hooks that ask for a decision."""

CONNECT_HOOKS: Final = frozenset({Hook.AUTH_ON_REGISTER, Hook.AUTH_ON_REGISTER_M5})
"""Those of them that ask whether a client may come in."""

PRESENCE_HOOKS: Final = frozenset(
    {
        Hook.ON_REGISTER,
        Hook.ON_REGISTER_M5,
        Hook.ON_CLIENT_WAKEUP,
        Hook.ON_CLIENT_OFFLINE,
        Hook.ON_CLIENT_GONE,
        Hook.ON_SESSION_EXPIRED,
    }
)
"""Hooks that tell of a client's coming and going. Their answers hold the client up."""
