"""Compute resources."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel

#: A Kubernetes quantity (apimachinery resource.Quantity) that is not negative, integer or string.
Quantity = Annotated[
    Annotated[int, Field(ge=0)]
    | Annotated[
        str,
        Field(
            max_length=32,
            pattern=r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
        ),
    ],
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]


class Resources(ApiModel):
    """Compute resources of the main container, as in a pod."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Least resources, by name."""
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Most resources, by name."""
