"""VerneMQ's webhooks as recorded in its contract: bodies in, answers out. Pure."""

from liveconnect.webhook.contract.answers import (
    OK,
    REFUSED,
    connect_allowed,
    subscribe_answer,
)
from liveconnect.webhook.contract.bodies import (
    ClientBody,
    DeliverBody,
    HookBodyError,
    OfflineMessageBody,
    PublishBody,
    ReauthenticateBody,
    RegisterBody,
    RegisteredBody,
    SubscribeBody,
    SubscribeTopic,
    UnsubscribeBody,
    can_be_named,
    parse_body,
)
from liveconnect.webhook.contract.hooks import AUTH_HOOKS, CONNECT_HOOKS, PRESENCE_HOOKS, Hook
from liveconnect.webhook.contract.limits import longest_body

__all__ = [
    "AUTH_HOOKS",
    "CONNECT_HOOKS",
    "OK",
    "PRESENCE_HOOKS",
    "REFUSED",
    "ClientBody",
    "DeliverBody",
    "Hook",
    "HookBodyError",
    "OfflineMessageBody",
    "PublishBody",
    "ReauthenticateBody",
    "RegisterBody",
    "RegisteredBody",
    "SubscribeBody",
    "SubscribeTopic",
    "UnsubscribeBody",
    "can_be_named",
    "connect_allowed",
    "longest_body",
    "parse_body",
    "subscribe_answer",
]
