"""Bodies of the hooks. Keys that are not used are not read: properties, passwords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.webhook.contract.hooks import Hook

Qos = Annotated[int, msgspec.Meta(ge=0, le=2)]
RetainHandling = Literal["send_retain", "send_if_new_sub", "dont_send"]
ClientId = Annotated[str, msgspec.Meta(min_length=1, max_length=65535)]


class _Body(msgspec.Struct, frozen=True):
    """What all bodies have. They print without the user name, which is the token."""

    client_id: ClientId
    mountpoint: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self.client_id!r})"


class RegisterBody(_Body, frozen=True):
    """`auth_on_register[_m5]`: a client wants to connect."""

    username: str | None
    peer_addr: str
    peer_port: int

    __repr__ = _Body.__repr__


class RegisteredBody(_Body, frozen=True):
    """`on_register[_m5]`: a client is connected."""

    username: str | None
    peer_addr: str
    peer_port: int

    __repr__ = _Body.__repr__


class PublishBody(_Body, frozen=True):
    """`auth_on_publish[_m5]`, `on_publish[_m5]`: a client publishes, or has a will."""

    username: str | None
    topic: str
    qos: Qos
    retain: bool
    payload: msgspec.Raw = msgspec.Raw()
    """Not decoded: only its size is of interest."""

    @property
    def payload_bytes(self) -> int | None:
        """Size of the payload (bytes); None if the hook does not carry it as base64 text."""
        return _base64_size(bytes(self.payload))

    __repr__ = _Body.__repr__


def _base64_size(text: bytes) -> int | None:
    """Return how many bytes a JSON string of base64 (RFC 4648, section 4) stands for."""
    if len(text) < 2 or text[:1] != b'"' or b"\\" in text:
        return None
    return (len(text) - 2) * 3 // 4 - text[-3:].count(b"=")


class SubscribeTopic(msgspec.Struct, frozen=True):
    """One topic filter of a SUBSCRIBE."""

    topic: str
    qos: Qos
    no_local: bool = False
    """MQTT 5: whether the client wants none of its own messages."""
    rap: bool = False
    """MQTT 5: whether messages keep their retain flag."""
    retain_handling: RetainHandling = "send_retain"
    """MQTT 5: when retained messages are wanted."""


class SubscribeBody(_Body, frozen=True):
    """`auth_on_subscribe[_m5]`, `on_subscribe[_m5]`."""

    username: str | None
    topics: Annotated[list[SubscribeTopic], msgspec.Meta(min_length=1)]
    """In the reverse order of the client's SUBSCRIBE. Answers go by position in *this* list."""

    __repr__ = _Body.__repr__


class UnsubscribeBody(_Body, frozen=True):
    """`on_unsubscribe[_m5]`."""

    username: str | None
    topics: list[str]

    __repr__ = _Body.__repr__


class DeliverBody(_Body, frozen=True):
    """`on_deliver[_m5]`."""

    username: str | None
    topic: str
    qos: Qos
    retain: bool

    __repr__ = _Body.__repr__


class OfflineMessageBody(_Body, frozen=True):
    """`on_offline_message`."""

    topic: str
    qos: Qos
    retain: bool

    __repr__ = _Body.__repr__


class ReauthenticateBody(_Body, frozen=True):
    """`on_auth_m5`: an AUTH packet of MQTT 5."""

    username: str | None

    __repr__ = _Body.__repr__


class ClientBody(_Body, frozen=True):
    """`on_client_wakeup|offline|gone`, `on_session_expired`: no node, no session, no user."""

    __repr__ = _Body.__repr__


Body = (
    RegisterBody
    | RegisteredBody
    | PublishBody
    | SubscribeBody
    | UnsubscribeBody
    | DeliverBody
    | OfflineMessageBody
    | ReauthenticateBody
    | ClientBody
)

_TYPES: Final[dict[Hook, type[Body]]] = {
    Hook.AUTH_ON_REGISTER: RegisterBody,
    Hook.AUTH_ON_REGISTER_M5: RegisterBody,
    Hook.AUTH_ON_PUBLISH: PublishBody,
    Hook.AUTH_ON_PUBLISH_M5: PublishBody,
    Hook.AUTH_ON_SUBSCRIBE: SubscribeBody,
    Hook.AUTH_ON_SUBSCRIBE_M5: SubscribeBody,
    Hook.ON_AUTH_M5: ReauthenticateBody,
    Hook.ON_REGISTER: RegisteredBody,
    Hook.ON_REGISTER_M5: RegisteredBody,
    Hook.ON_PUBLISH: PublishBody,
    Hook.ON_PUBLISH_M5: PublishBody,
    Hook.ON_SUBSCRIBE: SubscribeBody,
    Hook.ON_SUBSCRIBE_M5: SubscribeBody,
    Hook.ON_UNSUBSCRIBE: UnsubscribeBody,
    Hook.ON_UNSUBSCRIBE_M5: UnsubscribeBody,
    Hook.ON_DELIVER: DeliverBody,
    Hook.ON_DELIVER_M5: DeliverBody,
    Hook.ON_OFFLINE_MESSAGE: OfflineMessageBody,
    Hook.ON_CLIENT_WAKEUP: ClientBody,
    Hook.ON_CLIENT_OFFLINE: ClientBody,
    Hook.ON_CLIENT_GONE: ClientBody,
    Hook.ON_SESSION_EXPIRED: ClientBody,
}

_DECODERS: Final[dict[Hook, Callable[[bytes], Body]]] = {
    hook: msgspec.json.Decoder(body).decode for hook, body in _TYPES.items()
}


def can_be_named(client_id: str) -> bool:
    """Return whether the management API can speak of a client.

    VerneMQ puts the client id of `session/disconnect` between double quotes into a query of its
    own: one that holds a quote or a backslash would end other clients' sessions, or none.
    """
    return '"' not in client_id and "\\" not in client_id


class HookBodyError(ValueError):
    """A body that VerneMQ would not send. The message names the fault and quotes no value."""


def parse_body(hook: Hook, content: bytes) -> Body:
    """Read a hook's body.

    Raises:
        HookBodyError: it is not what this hook sends.
    """
    try:
        return _DECODERS[hook](content)
    except msgspec.ValidationError as error:
        raise HookBodyError(str(error)) from None
    except MALFORMED:
        raise HookBodyError("not JSON") from None
