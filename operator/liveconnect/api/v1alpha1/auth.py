"""`spec.auth`: who may connect, and to which topics."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.accounts import ServiceAccountReference
from liveconnect.api.v1alpha1.base import ApiModel, ObjectName
from liveconnect.api.v1alpha1.delegation import Delegation
from liveconnect.api.v1alpha1.podtemplate import PodTemplate
from liveconnect.api.v1alpha1.resources import Resources
from liveconnect.api.v1alpha1.rules import TopicRule


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


#: Name of a claim at the top of a token.
ClaimName = Annotated[str, Field(min_length=1, max_length=253)]
ClaimValue = Annotated[str, Field(min_length=1, max_length=253)]
_Audience = Annotated[str, Field(min_length=1, max_length=1024)]
_Url = Field(pattern=r"^https?://[^\s]+$", max_length=2048)


class Jwt(ApiModel):
    """JWT access tokens (RFC 9068), checked against a JSON Web Key Set."""

    issuer: Annotated[str, Field(min_length=1, max_length=1024)]
    """Exact value of the token's `iss`."""
    audiences: Annotated[list[_Audience], Field(min_length=1, max_length=16)]
    """The token's `aud` must hold one of these."""
    jwksURI: Annotated[str | None, _Url] = None
    """Where the keys are. Without it and `jwksSecretRef` they are discovered from the issuer, by
    its `/.well-known/openid-configuration` (OpenID Connect Discovery, RFC 8414)."""
    jwksSecretRef: SecretKeyReference | None = None
    """A Secret that holds the key set (JSON); not together with `jwksURI`."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1, max_length=10)] = [
        Algorithm.RS256,
        Algorithm.ES256,
    ]
    """Signature algorithms that are accepted."""
    clientIDClaim: ClaimName = "client_id"
    """The claim that must equal the MQTT client id."""
    subjectClaim: ClaimName = "sub"
    """The claim that says whose token it is; tokens can be revoked by it."""
    groupsClaim: ClaimName = "groups"
    """The claim that names the device's groups: a list of strings, or one string."""
    leewaySeconds: Annotated[int, Field(ge=0, le=300)] = 5
    """Tolerated difference of clocks (seconds)."""


class Introspection(ApiModel):
    """Opaque access tokens: the authorization server is asked about each (RFC 7662)."""

    url: Annotated[str, _Url]
    """The introspection endpoint. Use https, unless a mesh encrypts: tokens and the client secret
    are sent there."""
    clientID: Annotated[str, Field(min_length=1, max_length=253)]
    """The client as which the auth service asks (HTTP Basic authentication)."""
    clientSecretRef: SecretKeyReference
    """A Secret that holds that client's secret."""
    issuer: Annotated[str | None, Field(min_length=1, max_length=1024)] = None
    """If given, an `iss` in an answer must be this, and JWTs of this issuer are asked about,
    too; without it only what is no JWT."""
    audiences: Annotated[list[_Audience], Field(max_length=16)] = []
    """If given, the answer's `aud` must hold one of these."""
    clientIDClaim: ClaimName = "client_id"
    """The member of the answer that must equal the MQTT client id."""
    subjectClaim: ClaimName = "sub"
    """The member that says whose token it is; tokens can be revoked by it."""
    groupsClaim: ClaimName = "groups"
    """The member that names the device's groups: a list of strings, or one string."""
    cacheSeconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """How long a good answer is used at most, and so how long a token that the server revoked may
    still work. An answer is never used beyond its `exp`; one without `exp` is no good answer."""
    leewaySeconds: Annotated[int, Field(ge=0, le=300)] = 5
    """Tolerated difference of clocks (seconds)."""


class TokenProvider(ApiModel):
    """One source of access tokens, exactly one of the two kinds.

    A JWT is checked by the provider of its issuer, everything else by introspection.
    """

    jwt: Jwt | None = None
    """JWT access tokens."""
    introspection: Introspection | None = None
    """Opaque access tokens."""


class ConnectPriority(ApiModel):
    """Who is let in first when many come at once."""

    claim: ClaimName
    """The claim that says a device's class: a string, or a list of strings."""
    first: Annotated[list[ClaimValue], Field(max_length=32)] = []
    """Values of those who go first."""
    last: Annotated[list[ClaimValue], Field(max_length=32)] = []
    """Values of those who go last; the others are between."""


class Connects(ApiModel):
    """How fast devices are let in when many come at once, as after an outage.

    Who has to wait gets its CONNACK a bit later, three seconds at most, and is never refused for
    it. Bounds are raised while more wait than the brokers would keep.
    """

    perSecondPerNode: Annotated[int, Field(ge=10, le=100_000)] = 500
    """Devices that a node gets in a second; a node that has just started, a quarter at first."""
    perSecond: Annotated[int | None, Field(ge=10, le=1_000_000)] = None
    """Devices that all nodes together get in a second; as many as the nodes may when not set."""
    priority: ConnectPriority | None = None
    """Who is let in first; nobody when not set."""


class Revoker(ApiModel):
    """A backend that may revoke tokens."""

    serviceAccount: ServiceAccountReference
    """Its ServiceAccount; it presents a token with audience `liveconnect`."""


class AuthTls(ApiModel):
    """TLS of the auth service: hooks carry the devices' tokens, its API the backends'."""

    secretName: ObjectName
    """Secret with `tls.crt` and `tls.key`, for the host name `<name>-auth.<namespace>.svc`, and
    `ca.crt`, by which brokers and gateway know the auth service. When the authority changes, let `ca.crt`
    hold the old and the new one for some minutes before the certificate changes."""


class Auth(ApiModel):
    """The auth service: VerneMQ's webhooks, access tokens, topics, presence."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    """Number of pods."""
    tls: AuthTls | None = None
    """TLS for the brokers' hooks, for presence and revocations (HTTPS on port 8443 in place of plain
    HTTP on port 8080), and for the managed store. Plain within the cluster without it."""
    resources: Resources = Resources()
    """Compute resources of each pod."""
    podTemplate: PodTemplate = PodTemplate()
    """What is added to the pods."""
    tokens: Annotated[list[TokenProvider], Field(min_length=1, max_length=8)]
    """Providers of access tokens."""
    topics: Annotated[list[TopicRule], Field(max_length=200)] = []
    """The predefined topics; everything else is denied."""
    delegations: Annotated[list[Delegation], Field(max_length=32)] = []
    """Namespaces whose `LiveConnectTopic` objects may state further rules, and how far."""
    revokers: Annotated[list[Revoker], Field(max_length=100)] = []
    """Who may revoke tokens (`/v1/revocations` of the auth service); nobody else may."""
    connects: Connects = Connects()
    """How fast devices are let in."""
