"""The base of every model of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: An MQTT topic filter: `+` and `#` stand alone in their level, `#` only in the last one, and no
#: filter begins with `$` (MQTT 5, section 4.7). The CRD says it as CEL rules, for their messages;
#: the lengths here and of the lists of filters keep those within the API server's cost budget.
TopicFilter = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^(#|([^#+$/][^#+/]*|[+]|)(/([^#+/]*|[+]))*(/#)?)$",
    ),
]

#: A name of an object of Kubernetes (a DNS subdomain, RFC 1123).
ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]

#: A name of a namespace (a DNS label, RFC 1123).
NamespaceName = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


#: A length of time, as in `90s`, `10m`, `2h`.
Duration = Annotated[str, Field(max_length=6, pattern=r"^[1-9][0-9]{0,4}[smh]$")]

_UNITS = {"s": 1, "m": 60, "h": 3600}


def duration(text: str) -> timedelta:
    """The time that a `Duration` stands for."""
    return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])


class ApiModel(BaseModel):
    """A structure of the API: immutable, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True
    )
