"""Kubernetes quantities, for comparing sizes (apimachinery, `resource.Quantity`)."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([A-Za-z]{0,2})([+-]?[0-9]+)?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(text)
    number, unit, exponent = match.groups() if match else ("", "?", None)
    if exponent is not None and unit in {"e", "E"}:
        return Decimal(number).scaleb(int(exponent))
    if exponent is None and unit in _DECIMAL:
        return Decimal(number).scaleb(_DECIMAL[unit])
    if exponent is None and unit in _BINARY:
        return Decimal(number) * Decimal(1024 ** _BINARY[unit])
    raise ValueError(f"not a quantity: {text!r}")
