"""A message for many clients, each on its own topic."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from liveconnect.gateway.messages.address import Address, Topics, check_level
from liveconnect.gateway.messages.body import Form, parse, read
from liveconnect.gateway.messages.checks import check_length
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.publication import Publication
from liveconnect.gateway.messages.topic import UNPRINTABLE

MOST_MEMBERS: Final = 10_000
_DEFAULT_LIMIT: Final = 1000
_LONGEST_NAME: Final = 100
_LONGEST_CURSOR: Final = 1024
_ANYBODY: Final = Address(client_id="anybody")

_Ids = Annotated[list[str], Meta(description="These clients, 1 to 10000 of them.")]
_Prefix = Annotated[str, Meta(description="Those whose ids begin so, as far as presence knows.")]
_Group = Annotated[str, Meta(description="Those whose last token named this group.")]
_Members = Annotated["MembersContent", Meta(description="Whom it is for: one of the three.")]
_Message = Annotated[
    Raw,
    Meta(
        description="The message; it has no address.",
        extra_json_schema={"$ref": "#/components/schemas/Content"},
    ),
]
_Limit = Annotated[
    int,
    Meta(
        description="Members of this call at most.",
        extra_json_schema={"minimum": 1, "maximum": MOST_MEMBERS},
    ),
]
_After = Annotated[str, Meta(description="The last `next` of the call before.")]


class MembersContent(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Which clients are meant: exactly one of these."""

    client_ids: _Ids | UnsetType = UNSET
    prefix: _Prefix | UnsetType = UNSET
    group: _Group | UnsetType = UNSET


class FanoutContent(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """One message to each of many clients."""

    members: _Members
    message: _Message
    limit: _Limit = _DEFAULT_LIMIT
    after: _After | UnsetType = UNSET


class FanoutRequest(msgspec.Struct, frozen=True):
    """What is asked for."""

    publication: Publication
    """Its topic and client are nobody's."""
    client_ids: tuple[str, ...]
    prefix: str
    group: str
    limit: int
    after: str | None
    most_bytes: int
    """Longest message."""

    def to(self, client_id: str, topics: Topics) -> Publication:
        """Return the message for one of the clients.

        Raises:
            MessageError: nothing can be published to it.
        """
        topic = topics.of(Address(client_id=client_id))
        message = msgspec.structs.replace(self.publication.message, topic=topic)
        return Publication(check_length(message, self.most_bytes), client_id=client_id)


_FORM: Final = Form(FanoutContent)


def parse_fanout(raw: bytes, limits: Limits, topics: Topics) -> FanoutRequest:
    """Read a body.

    Raises:
        MessageError: it is not the request that it must be.
    """
    content = read(raw, _FORM)
    publication = parse(bytes(content.message), limits, topics, _ANYBODY)
    members = content.members
    given = (members.client_ids, members.prefix, members.group)
    if given.count(UNSET) != 2:
        raise MessageError("give exactly one of clientIds, prefix and group", "members")
    if not 1 <= content.limit <= MOST_MEMBERS:
        raise MessageError(f"1 to {MOST_MEMBERS}", "limit")
    after = None if isinstance(content.after, UnsetType) else content.after
    if after is not None and not 1 <= len(after) <= _LONGEST_CURSOR:
        raise MessageError("the last next of the call before", "after")
    return FanoutRequest(
        publication,
        () if isinstance(members.client_ids, UnsetType) else _ids(members.client_ids),
        "" if isinstance(members.prefix, UnsetType) else _name(members.prefix, "prefix"),
        "" if isinstance(members.group, UnsetType) else _name(members.group, "group"),
        content.limit,
        after,
        limits.packet_bytes,
    )


def _ids(given: list[str]) -> tuple[str, ...]:
    if not 1 <= len(given) <= MOST_MEMBERS:
        kind = FaultKind.SIZE if given else FaultKind.VALUE
        raise MessageError(f"1 to {MOST_MEMBERS} client ids", "clientIds", kind)
    if len(set(given)) != len(given):
        raise MessageError("a client id is given twice", "clientIds")
    return tuple(check_level(one, "clientIds") for one in given)


def _name(given: str, field: str) -> str:
    if not 1 <= len(given) <= _LONGEST_NAME:
        raise MessageError(f"1 to {_LONGEST_NAME} characters", field)
    if UNPRINTABLE.search(given):
        raise MessageError("control characters, NUL among them, are not allowed", field)
    return given
