"""Waiting for what takes time. The only place of the kit that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotInTimeError(AssertionError):
    """Something did not come true in time; says what was seen last."""


def eventually(
    predicate: Callable[[], T | None], *, within: float, every: float = 0.25, what: str = ""
) -> T:
    """Poll until the predicate is true and return its value.

    A predicate that raises is not true yet: pods restart, connections break while they do.

    Args:
        predicate: What shall come true; its value and its exceptions are reported on time-out.
        within: Seconds to wait at most.
        every: Seconds between two looks.
        what: What is waited for, in the error.

    Raises:
        NotInTimeError: With the last value or exception.
    """
    start = time.monotonic()
    while True:
        seen: object
        try:
            value = predicate()
            if value:
                return value
            seen = value
        except Exception as error:  # noqa: BLE001 - reported below when it stays
            seen = error
        if time.monotonic() - start >= within:
            raise NotInTimeError(_message(what or predicate.__name__, within, seen))
        time.sleep(every)


def always(
    predicate: Callable[[], object], *, during: float, what: str, every: float = 0.25
) -> None:
    """Check again and again that something stays true.

    Raises:
        AssertionError: As soon as it is not.
    """
    end = time.monotonic() + during
    while time.monotonic() < end:
        seen = predicate()
        if not seen:
            raise AssertionError(f"{what}: no longer true, saw {seen!r}")
        time.sleep(every)


def _message(what: str, within: float, seen: object) -> str:
    if isinstance(seen, Exception):
        return f"{what}: not within {within:g} s; last error {type(seen).__name__}: {seen}"
    return f"{what}: not within {within:g} s; last seen {seen!r}"
