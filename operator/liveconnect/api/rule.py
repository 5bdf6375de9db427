"""One CEL rule of the CRD."""

from __future__ import annotations

from collections.abc import Iterable

Rule = dict[str, str]

FORBIDDEN = "FieldValueForbidden"
REQUIRED = "FieldValueRequired"
#: A name with an optional domain: keys of labels and annotations.
QUALIFIED = (
    "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)


def rule(
    rule: str, message: str, field: str = "", reason: str = "", *, expression: str = ""
) -> Rule:
    """One rule; `field` is where the error is shown, `expression` a message with values in it.

    The reason `FieldValueDuplicate` is of no use: with it the API server leaves the message out.
    """
    optional = {"messageExpression": expression, "reason": reason, "fieldPath": field}
    return {"rule": rule, "message": message, **{k: v for k, v in optional.items() if v}}


def texts(values: Iterable[str]) -> str:
    """A CEL list of strings."""
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"
