"""How a client id is named to VerneMQ's management API.

VerneMQ glues it unescaped, between double quotes, into a query over all sessions: an id with a
quote would name every client there is. It reads the bytes of the URL as Latin-1, so an id beyond
that cannot be named at all (recorded).
"""

from __future__ import annotations

from urllib.parse import quote_plus

_NEVER = frozenset('"\\')


def query_value(client_id: str) -> str | None:
    """The client id as a value in a management URL; None for one that must not be sent.

    A backslash at the end would take the closing quote with it, so none is sent.
    """
    if not client_id or _NEVER & set(client_id):
        return None
    try:
        return quote_plus(client_id, encoding="latin-1", errors="strict")
    except UnicodeEncodeError:
        return None
