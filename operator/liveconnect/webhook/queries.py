"""Queries of the presence API: what is asked, and what cannot be meant."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.common.problem import Problem
from liveconnect.webhook.adapters.presence_directory import GROUP_PLACE, Place, Selection
from liveconnect.webhook.presence import State

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100
_FOREIGN_CURSOR: Final = "cursor: give back what the page before had as next"
_SELECTION: Final = frozenset({"state", "node", "prefix"})


class PageQuery(msgspec.Struct, frozen=True):
    """What a page of clients is asked for with."""

    selection: Selection
    group: str
    """Only its members; of everybody if empty. Then state and node select nothing."""
    after: Place | None
    limit: int


class Lookup(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /v1/lookups`."""

    client_ids: list[str]


def page_query(query: bytes) -> PageQuery:
    """Read the query of `GET /v1/clients`.

    Raises:
        Problem: 400, naming the parameter.
    """
    values = _parameters(query, _SELECTION | {"limit", "cursor", "group"})
    limit = values.get("limit", str(DEFAULT_LIMIT))
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
        raise Problem(400, f"limit: a number from 1 to {MAX_LIMIT}")
    cursor, group = values.get("cursor"), values.get("group", "")
    if "group" in values and (not group or {"state", "node"} & values.keys()):
        raise Problem(400, "group: a name, without state and node")
    after = decode_cursor(cursor) if cursor else None
    if after is not None and (after.index == GROUP_PLACE) != bool(group):
        raise Problem(400, _FOREIGN_CURSOR)
    return PageQuery(_selection(values), group, after, int(limit))


def change_query(query: bytes) -> tuple[Selection, str | None]:
    """Read the query of `GET /v1/changes`: which clients, and from where.

    Raises:
        Problem: 400, naming the parameter.
    """
    values = _parameters(query, _SELECTION | {"from"})
    return _selection(values), values.get("from")


def lookup(body: bytes) -> tuple[str, ...]:
    """Read the body of `POST /v1/lookups`.

    Raises:
        Problem: 400, naming the field.
    """
    try:
        found = msgspec.json.decode(body, type=Lookup)
    except MALFORMED as error:
        raise Problem(400, f'the body is {{"clientIds": […]}}: {error}') from None
    if not 1 <= len(found.client_ids) <= MAX_LIMIT:
        raise Problem(400, f"clientIds: from 1 to {MAX_LIMIT} client ids")
    return tuple(dict.fromkeys(found.client_ids))


def encode_cursor(place: Place) -> str:
    """Return a place as a text for URLs."""
    text = msgspec.json.encode(msgspec.structs.astuple(place))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode_cursor(cursor: str) -> Place:
    """Return the place of a cursor.

    Raises:
        Problem: 400, it is none of ours.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        index, shard, client_id = msgspec.json.decode(text, type=tuple[str, int, str])
        if index != GROUP_PLACE:
            State(index.partition(":")[0])
    except (*MALFORMED, ValueError, binascii.Error):
        raise Problem(400, _FOREIGN_CURSOR) from None
    return Place(index, shard, client_id)


def _parameters(query: bytes, known: Collection[str]) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise Problem(400, "the query is no percent-encoded UTF-8") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Problem(400, "every parameter of the query may be given once")
    for name in values:
        if name not in known:
            raise Problem(400, f"{name[:40]}: no such parameter; known: {', '.join(sorted(known))}")
    return values


def _selection(values: Mapping[str, str]) -> Selection:
    state = values.get("state")
    if state is not None and state not in set(State):
        raise Problem(400, f"state: one of {', '.join(State)}")
    return Selection(
        None if state is None else State(state), values.get("node"), values.get("prefix", "")
    )
