"""`spec.auth`: who may connect, and to which topics."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel, ObjectName, TopicFilter
from liveconnect.api.v1alpha1.pools import Resources


class Algorithm(StrEnum):
    """Signature algorithms that can be allowed (RFC 7518, RFC 8037). No HMAC and no `none`."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class SecretKeyReference(ApiModel):
    """A key of a Secret in the cluster object's own namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in the Secret."""


class Jwt(ApiModel):
    """JWT access tokens (RFC 9068), checked against a JSON Web Key Set."""

    issuer: Annotated[str, Field(min_length=1, max_length=1024)]
    """Exact value of the token's `iss`."""
    audiences: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=1024)]],
        Field(min_length=1, max_length=16),
    ]
    """The token's `aud` must hold one of these."""
    jwksURI: Annotated[str | None, Field(pattern=r"^https?://[^\s]+$", max_length=2048)] = None
    """Where the keys are; exactly one of `jwksURI` and `jwksSecretRef`."""
    jwksSecretRef: SecretKeyReference | None = None
    """A Secret that holds the key set (JSON); exactly one of `jwksURI` and `jwksSecretRef`."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1, max_length=10)] = [
        Algorithm.RS256,
        Algorithm.ES256,
    ]
    """Signature algorithms that are accepted."""
    clientIDClaim: Annotated[str, Field(min_length=1, max_length=253)] = "client_id"
    """The claim that must equal the MQTT client id."""
    groupsClaim: Annotated[str, Field(min_length=1, max_length=253)] = "groups"
    """The claim that names the device's groups: a list of strings, or one string."""
    leewaySeconds: Annotated[int, Field(ge=0, le=300)] = 5
    """Tolerated difference of clocks (seconds)."""


class TokenProvider(ApiModel):
    """One source of access tokens; chosen by the token's issuer."""

    jwt: Jwt
    """JWT access tokens."""


class TopicAction(StrEnum):
    """What a device may do with a topic."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"


class TopicRule(ApiModel):
    """One predefined topic. What no rule allows is denied."""

    filter: TopicFilter
    """MQTT topic filter; `{clientId}` and `{claims.NAME}` stand for the device's own values."""
    allow: Annotated[list[TopicAction], Field(min_length=1, max_length=2)]
    """What devices may do."""
    groups: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=8)
    ] = []
    """Only for devices whose token names one of these groups; for all devices when empty."""
    maxQoS: Annotated[int, Field(ge=0, le=2)] = 2
    """Highest quality of service: subscriptions are granted at most this, publishes above it are
    refused."""
    allowRetain: bool = False
    """Whether devices may publish retained messages."""
    maxPayloadBytes: Annotated[int | None, Field(ge=0, le=268435455)] = None
    """Largest payload that devices may publish (bytes); the broker's `max_message_size` when not
    set."""


class Auth(ApiModel):
    """The auth service: VerneMQ's webhooks, access tokens, topics, presence."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    """Number of pods."""
    resources: Resources = Resources()
    """Compute resources of each pod."""
    tokens: Annotated[list[TokenProvider], Field(min_length=1, max_length=8)]
    """Providers of access tokens."""
    topics: Annotated[list[TopicRule], Field(max_length=200)] = []
    """The predefined topics; everything else is denied."""
