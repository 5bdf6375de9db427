"""What only the operands of one cluster know."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.controller.model.manifest import digest


@dataclass(frozen=True, repr=False)
class ApiKeys:
    """The keys of the brokers' management API: two while they are rotated."""

    current: str
    other: str = ""
    """The next one or the previous one; empty while nothing is rotated."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """Generated once per cluster, kept in its Secrets."""

    cookie: str
    """Erlang distribution cookie: who has it owns the nodes."""
    api_key: str
    """Key of the brokers' management API."""
    presence_password: str
    """Password of the managed presence store."""
    placeholder: str = ""
    """Certificate and key (PEM) that nobody trusts, for listeners without any; empty while no
    listener has TLS."""
    next_api_key: str = ""
    """The key that is given to the nodes before it comes into use; empty while none is."""
    previous_api_key: str = ""
    """The key that was in use before, until every node has forgotten it."""
    api_key_rotation: str = ""
    """The rotation of the API key that was begun last, as the object asked for it."""
    cookie_rotation: str = ""
    """The rotation of the cookie that was begun last, as the object asked for it."""

    @property
    def api_keys(self) -> ApiKeys:
        """The keys that nodes may accept now."""
        return ApiKeys(self.api_key, self.next_api_key or self.previous_api_key)

    @property
    def cookie_digest(self) -> str:
        """Tells one cookie from another, and nothing of it."""
        return digest(self.cookie)

    def __repr__(self) -> str:
        return "Credentials(…)"
