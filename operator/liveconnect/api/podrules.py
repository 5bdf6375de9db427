"""CEL rules of every `podTemplate`: what contradicts the operator's own parts is refused."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.api.rule import FORBIDDEN, QUALIFIED, REQUIRED, Rule, rule, texts


@dataclass(frozen=True)
class Operand:
    """What the operator's own parts of an operand's pods are called."""

    field: str
    """Where the spec speaks of it."""
    container: str
    image: str
    """How its image is chosen, said to people."""
    volumes: tuple[str, ...]
    """Names of the operator's volumes; `jwks-` stands for all that begin so."""
    paths: tuple[str, ...]
    """Folders that the operator mounts into; nothing of users' goes there."""
    variables: tuple[str, ...]
    """Variables that the operator sets, or that would undo what it sets; also as beginnings."""


def _broker(field: str) -> Operand:
    return Operand(
        field=field,
        container="vernemq",
        image="set spec.broker.image",
        volumes=("data", "etc", "generated", "log", "tmp", "config", "secret", "tls"),
        paths=("/vernemq", "/etc/liveconnect", "/tmp"),  # noqa: S108 - in the container
        variables=(
            "POD_NAME", "POD_IP", "COOKIE_DIGEST", "NODES_DOMAIN", "EXPECTED_HOOKS", "MQTT_PORTS",
            "HOME", "ERL_", "RELX_", "VMARGS_", "DOCKER_VERNEMQ_",
        ),
    )  # fmt: skip


def _service(field: str, container: str) -> Operand:
    return Operand(
        field=field,
        container=container,
        image="it is the operator's own",
        volumes=(
            "config", "api-access", "presence", "broker", "broker-token", "tls", "jwks-",
            "introspection-", "secret", "data",
        ),
        paths=("/etc/liveconnect", "/var/run/secrets", "/var/lib/liveconnect"),
        variables=(
            "POD_NAME", "POD_IP", "LIVECONNECT_CONFIG_FILE", "LIVECONNECT_HOST",
            "LIVECONNECT_PORT", "LIVECONNECT_HOOKS_PORT", "LIVECONNECT_DRAIN_",
        ),
    )  # fmt: skip


OPERANDS = (
    _broker("spec.publishers"),
    _broker("spec.subscribers"),
    _service("spec.auth", "auth"),
    _service("spec.gateway", "gateway"),
    Operand(
        field="spec.presence.store.managed",
        container="valkey",
        image="set spec.presence.store.managed.image",
        volumes=("data", "run", "config", "secret"),
        paths=("/data", "/run/liveconnect", "/etc/liveconnect"),
        variables=(),
    ),
)
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def pod_template(operand: Operand) -> str:
    """Path of an operand's template."""
    return f"{operand.field}.podTemplate"


def _keys(domains: tuple[str, ...]) -> list[Rule]:
    """Rules of labels or annotations."""
    own = " || ".join(f"k.startsWith('{domain}')" for domain in domains)
    return [
        rule(
            f"self.all(k, k.matches('{QUALIFIED}'))",
            "keys are names with an optional domain, such as example.com/name",
        ),
        rule(
            f"self.all(k, !({own}))",
            "the operator sets it itself; remove it",
            reason=FORBIDDEN,
            expression=f"self.filter(k, {own})[0] + ': set by the operator; remove it'",
        ),
    ]


def _container(operand: Operand) -> list[Rule]:
    """Rules of an item of `containers`."""
    mine = f"self.name == '{operand.container}'"
    container = f"the container {operand.container} is the operator's: "
    said = {
        "image": operand.image,
        "workingDir": "its working directory is fixed",
        "restartPolicy": "it always restarts",
        "lifecycle": "how it ends is fixed",
        "securityContext": "it is hardened; identities are in spec.securityContext",
        "imagePullPolicy": "set spec.broker.imagePullPolicy"
        if operand.container == "vernemq"
        else "the operator's own setting counts",
    }
    lists = {
        "command": "its command is fixed",
        "args": "its command is fixed",
        "ports": "its ports are those of the listeners"
        if operand.container == "vernemq"
        else "its ports are fixed",
    }
    return [
        rule(
            f"{mine} || has(self.image)",
            "a container of yours needs an image",
            ".image",
            REQUIRED,
        ),
        *(
            rule(f"!({mine}) || !has(self.{field})", f"{container}{why}; remove it", f".{field}",
                 FORBIDDEN)
            for field, why in said.items()
        ),
        *(
            rule(f"!({mine}) || self.{field}.size() == 0", f"{container}{why}; remove it",
                 f".{field}", FORBIDDEN)
            for field, why in lists.items()
        ),
        rule(
            f"!({mine}) || (self.resources.requests.size() == 0 && "
            "self.resources.limits.size() == 0)",
            f"{container}set {operand.field}.resources instead",
            ".resources",
            FORBIDDEN,
        ),
        *(
            rule(
                f"!({mine}) || !has(self.{probe}) || "
                f"!({' || '.join(f'has(self.{probe}.{h})' for h in _HANDLERS)})",
                f"{container}what it asks is fixed, only its times can be changed",
                f".{probe}",
                FORBIDDEN,
            )
            for probe in _PROBES
        ),
        *_own_parts(operand, mine),
    ]  # fmt: skip


def _own_parts(operand: Operand, mine: str) -> list[Rule]:
    """Rules of environment and mounts of the operator's container.

    A message that names the very item would exceed the API server's cost budget.
    """
    mounted = f"{texts(operand.paths)}.exists(o, (m.mountPath + '/').startsWith(o + '/'))"
    mounts = rule(
        f"!({mine}) || self.volumeMounts.all(m, !{mounted})",
        f"the operator mounts into {', '.join(operand.paths)} itself; choose another mountPath",
        ".volumeMounts",
        FORBIDDEN,
    )
    if not operand.variables:
        return [mounts]
    taken = f"{texts(operand.variables)}.exists(o, e.name.startsWith(o))"
    said = ", ".join(f"{v}…" if v.endswith("_") else v for v in operand.variables)
    variables = rule(
        f"!({mine}) || self.env.all(e, !{taken})",
        f"{said}: the operator sets them, or they would undo what it sets; remove them",
        ".env",
        FORBIDDEN,
    )
    return [variables, mounts]


def _init_container(operand: Operand) -> list[Rule]:
    return [
        rule("has(self.image)", "a container of yours needs an image", ".image", REQUIRED),
        rule(
            f"self.name != '{operand.container}'",
            "this is the name of the operator's own container; choose another",
            ".name",
            FORBIDDEN,
        ),
    ]


def _volume(operand: Operand) -> list[Rule]:
    exact = [name for name in operand.volumes if not name.endswith("-")]
    begun = [name for name in operand.volumes if name.endswith("-")]
    prefixes = "".join(f" || self.name.startsWith('{name}')" for name in begun)
    return [
        rule(
            f"!(self.name in {texts(exact)}{prefixes})",
            f"the operator's own volumes are {', '.join(operand.volumes)}; choose another name",
            ".name",
            FORBIDDEN,
        )
    ]


_ENVIRONMENT = [
    rule(
        "!has(self.value) || !has(self.valueFrom)",
        "not together with value: set either value or valueFrom",
        ".valueFrom",
        FORBIDDEN,
    )
]
_TOLERATION = [
    rule("self.operator != 'Exists' || !has(self.value)",
         "Exists matches every value: remove it, or use operator: Equal", ".value", FORBIDDEN),
    rule("self.operator == 'Exists' || has(self.key)",
         "needed with operator: Equal; use Exists to tolerate every taint", ".key", REQUIRED),
]  # fmt: skip


def _rules(operand: Operand) -> dict[str, list[Rule]]:
    path = pod_template(operand)
    spec = f"{path}.spec"
    return {
        f"{path}.metadata.labels": _keys(("app.kubernetes.io/", "liveconnect.io/")),
        f"{path}.metadata.annotations": _keys(("liveconnect.io/",)),
        f"{spec}.containers[]": _container(operand),
        f"{spec}.initContainers[]": _init_container(operand),
        f"{spec}.volumes[]": _volume(operand),
        f"{spec}.containers[].env[]": _ENVIRONMENT,
        f"{spec}.initContainers[].env[]": _ENVIRONMENT,
        f"{spec}.tolerations[]": _TOLERATION,
    }


POD_TEMPLATE_RULES = {
    path: rules for operand in OPERANDS for path, rules in _rules(operand).items()
}

_LISTS = {
    "spec.imagePullSecrets": "name",
    "spec.volumes": "name",
    **{
        f"spec.{kind}{inner}": key
        for kind in ("containers", "initContainers")
        for inner, key in (("", "name"), ("[].env", "name"), ("[].volumeMounts", "mountPath"))
    },
}
#: Lists of every template that are maps, and their keys.
POD_TEMPLATE_LISTS = {
    f"{pod_template(operand)}.{path}": [key] for operand in OPERANDS for path, key in _LISTS.items()
}
