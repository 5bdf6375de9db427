"""The base of every model of the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: An MQTT topic filter: `+` and `#` stand alone in their level, `#` only in the last one, and no
#: filter begins with `$` (MQTT 5, section 4.7). A pattern, because CEL over lists of strings of
#: this length exceeds the API server's cost budget.
TopicFilter = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        pattern=r"^(#|([^#+$/][^#+/]*|[+]|)(/([^#+/]*|[+]))*(/#)?)$",
    ),
]


class ApiModel(BaseModel):
    """A structure of the API: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
