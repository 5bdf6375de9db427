"""`spec.auth.delegations`: which namespaces may state topic rules of their own, and how far."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel, NamespaceName, TopicFilter
from liveconnect.api.v1alpha1.rules import TopicAction


class NamespaceSelector(ApiModel):
    """Namespaces by their labels."""

    matchLabels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=16)
    ]
    """Labels that a namespace must have, all of them."""


class Delegation(ApiModel):
    """Lets `LiveConnectTopic` objects of some namespaces state rules within these filters."""

    namespaces: Annotated[list[NamespaceName] | None, Field(min_length=1, max_length=64)] = None
    """Namespaces by name; exactly one of `namespaces` and `namespaceSelector`."""
    namespaceSelector: NamespaceSelector | None = None
    """Namespaces by label; exactly one of `namespaces` and `namespaceSelector`. Needs an operator
    that watches all namespaces."""
    filters: Annotated[list[TopicFilter], Field(min_length=1, max_length=32)]
    """Each rule's filter must lie within one of these, whatever the placeholders stand for:
    `orders/#` holds `orders/{claims.sub}/+`; `orders/{claims.sub}/#` does not hold `orders/42`."""
    allow: Annotated[list[TopicAction], Field(min_length=1, max_length=2)]
    """What those rules may allow."""
    maxQoS: Annotated[int, Field(ge=0, le=2)] = 2
    """Highest quality of service that those rules may state."""
    allowRetain: bool = False
    """Whether those rules may allow retained messages."""
