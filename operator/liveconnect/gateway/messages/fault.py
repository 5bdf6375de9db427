"""What can be wrong with a request."""

from __future__ import annotations

from enum import Enum


class FaultKind(Enum):
    """What kind of wrong: a status of HTTP answers to each."""

    SYNTAX = "syntax"
    """It is not the JSON object that it must be."""
    VALUE = "value"
    """A field has a value that cannot be."""
    SIZE = "size"
    """A field is too long."""


class MessageError(ValueError):
    """The request is wrong; says which field and what is wrong with it, quotes no payload."""

    def __init__(
        self, detail: str, field: str | None = None, kind: FaultKind = FaultKind.VALUE
    ) -> None:
        super().__init__(detail if field is None else f"{field}: {detail}")
        self.field = field
        """Name of the field; None if it is the body as a whole."""
        self.kind = kind
