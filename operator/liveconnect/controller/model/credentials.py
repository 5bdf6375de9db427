"""What only the operands of one cluster know."""

from __future__ import annotations

from dataclasses import dataclass


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

    def __repr__(self) -> str:
        return "Credentials(…)"
