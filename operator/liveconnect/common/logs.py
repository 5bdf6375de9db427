"""JSON logs, one object a line, on standard error; the standard library's loggers included."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_JWT: Final = re.compile(r"\beyJ[\w-]{4,}(?:\.[\w-]*){1,4}")
"""Anything that looks like a JSON Web Token: its header always begins with `{"`."""

_REDACTED: Final = "[redacted]"


class Redacted:
    """A secret on its way through the program: printing it, in whatever manner, shows nothing."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; the only way to it."""
        return self._value

    def __repr__(self) -> str:
        return _REDACTED

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return _REDACTED

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not to be pickled")

    def __bool__(self) -> bool:
        return bool(self._value)


def _scrub(value: object) -> object:
    if isinstance(value, str):
        return _JWT.sub(_REDACTED, value)
    if isinstance(value, Redacted):
        return _REDACTED
    if isinstance(value, dict):
        return {key: _scrub(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrub(item) for item in value]
    return value


def scrub_tokens(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Remove from a log entry whatever looks like a token: the last net below the careful code.

    Exceptions of libraries may quote their input, and a device may put a token into its client id.
    """
    return {key: _scrub(value) for key, value in event.items()}


def configure_logs(service: str, level: str = "INFO") -> None:
    """Send all logs of this process to standard error as JSON.

    Args:
        service: name of the process, a key of every entry.
        level: lowest level that is shown.
    """

    def add_service(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_service,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            scrub_tokens,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # An entry that cannot be formatted would be printed as it is, tokens included.
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # One line for each request would cost more than the requests do.
    logging.getLogger("aiohttp.access").disabled = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
