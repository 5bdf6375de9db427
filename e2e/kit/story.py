"""LiveConnect's story, told by the demo and by the e2e suite: one list of steps.

Everything is seen from outside: phones come through the subscriber Service, the microservice over
HTTP, the operator's view through kubectl.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from e2e.kit.cluster import Cluster, condition
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import Microservice
from e2e.kit.phone import Address, Phone, Version
from e2e.kit.portforward import PortForward
from e2e.kit.samples import KIND, ORDERS_SERVICE

_MQTT_PORT = 1883
_CUSTOMER = "4711"
_OFFLINE_WITHIN_SECONDS = 5


@dataclass
class Stage:
    """Everybody who plays, and what happened so far."""

    cluster: Cluster
    issuer: Issuer
    version: Version = Version.V5
    name: str = "quickstart"
    namespace: str = "default"
    customer: str = _CUSTOMER
    _closing: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Bring the actors on stage."""
        run = uuid.uuid4().hex[:6]
        self.client_id = f"phone-{self.version.name.lower()}-{run}"
        self.address: Address = self._closing.enter_context(
            door(self.cluster, self.namespace, f"{self.name}-subscriber")
        )
        self.service = Microservice(self.cluster, self.namespace, self.name, ORDERS_SERVICE)
        self._closing.callback(self.service.close)
        token = self.issuer.token(self.client_id, self.customer)
        self.phone = Phone(self.client_id, token, version=self.version, persistent=True)
        self._closing.callback(self._clear)

    @property
    def topic(self) -> str:
        """What the phone subscribes to."""
        return f"orders/{self.customer}/+/status"

    def stranger(self, token: str | None, client_id: str = "") -> int:
        """The CONNACK code that a phone with this token gets; it is gone afterwards."""
        phone = Phone(client_id or f"{self.client_id}-x", token, version=self.version)
        try:
            return phone.connect(self.address)
        finally:
            phone.disconnect()

    def forward(self, pod: str, port: int = _MQTT_PORT) -> Address:
        """The way to one pod, until the end."""
        forward = PortForward(self.cluster, self.namespace, f"pod/{pod}", port)
        return self._closing.enter_context(forward).address

    def post(self, payload: str, qos: int) -> int:
        """Let the microservice post an order's status; the HTTP status of the gateway.

        Raises:
            AssertionError: When the gateway does not take it.
        """
        topic = f"orders/{self.customer}/{uuid.uuid4().hex[:8]}/status"
        answer = self.service.publish(topic, payload, qos)
        assert answer.status in {200, 202}, f"gateway: {answer.status} {answer.body}"
        return answer.status

    def arrives(self, payload: str, within: float = 10) -> float:
        """Wait for a message on the phone; the moment of its arrival (monotonic seconds)."""
        what = f"message {payload!r} on the phone"
        found = eventually(
            lambda: self.phone.with_payload(payload), within=within, every=0.01, what=what
        )
        return found[0].at

    def presence(self) -> dict[str, str]:
        """What the presence API says of the phone.

        Raises:
            AssertionError: When it does not answer with 200.
        """
        answer = self.service.presence(self.client_id)
        assert answer.status == 200, f"presence: {answer.status} {answer.body}"
        record: dict[str, str] = answer.body
        return record

    def other_node(self, node: str) -> str:
        """A ready subscriber pod that is not this one."""
        selector = f"liveconnect.io/cluster={self.name},liveconnect.io/pool=subscriber"
        pods = self.cluster.items("pods", self.namespace, selector)
        names: list[str] = [
            p["metadata"]["name"] for p in pods if condition(p, "Ready").get("status") == "True"
        ]
        others = sorted(name for name in names if name != node)
        assert others, f"no other ready subscriber node than {node}: {names}"
        return others[0]

    def close(self) -> None:
        """Send everybody home."""
        self._closing.close()

    def _clear(self) -> None:
        """Leave no session behind in the brokers."""
        self.phone.disconnect()
        token = self.issuer.token(self.client_id, self.customer)
        clean = Phone(self.client_id, token, version=self.version)
        try:
            clean.connect(self.address)
        except (OSError, AssertionError):
            return  # a broken cluster; the story has said so already
        clean.disconnect()


@dataclass(frozen=True)
class Step:
    """One step: what happens, and what was seen."""

    name: str
    title: str
    play: Callable[[Stage], str]
    """Returns what was seen; raises AssertionError when it is not what the story says."""


def _connects(stage: Stage) -> str:
    code = eventually(
        lambda: (stage.phone.connect(stage.address),), within=15, what="a connect that is answered"
    )[0]
    assert code == 0, f"CONNACK {code:#04x}"
    return f"CONNACK 0 from {stage.address}, MQTT {stage.version.value}"


def _strangers(stage: Stage) -> str:
    other = f"{stage.client_id}-x"
    tokens = {
        "anonymous": None,
        "an expired token": stage.issuer.expired_token(other, stage.customer),
        "a forged token": stage.issuer.forged_token(other, stage.customer),
        "another phone's token": stage.issuer.token(stage.client_id, stage.customer),
    }
    for who, token in tokens.items():
        code = stage.stranger(token, other)
        assert code == stage.version.refused, f"{who}: CONNACK {code:#04x}"
    return f"{', '.join(tokens)}: CONNACK {stage.version.refused:#04x}"


def _subscribes(stage: Stage) -> str:
    code = stage.phone.subscribe(stage.topic, qos=2)
    assert code == 2, f"SUBACK {code:#04x} for {stage.topic}"
    begun = time.monotonic()

    # The brokers tell each other of the subscription after the SUBACK; the story goes on when the
    # publishers know.
    def known() -> bool:
        payload = f"hello {uuid.uuid4().hex}"
        stage.post(payload, 1)
        return bool(stage.arrives(payload, within=1))

    eventually(known, within=15, what="the subscription known on the publisher pool")
    spread = time.monotonic() - begun
    return f"{stage.topic} granted QoS {code}, first message {spread * 1000:.0f} ms later"


def _other_customer(stage: Stage) -> str:
    topic = "orders/4712/+/status"
    code = stage.phone.subscribe(topic)
    assert code == stage.version.denied, f"SUBACK {code:#04x} for {topic}"
    return f"{topic}: SUBACK {code:#04x}"


def _messages(stage: Stage) -> str:
    seen = []
    for qos in (0, 1, 2):
        payload = f"out for delivery {uuid.uuid4().hex} (QoS {qos})"
        begun = time.monotonic()
        status = stage.post(payload, qos)
        milliseconds = (stage.arrives(payload) - begun) * 1000
        got = stage.phone.with_payload(payload)
        assert [m.qos for m in got] == [qos], f"posted with QoS {qos}, arrived {got}"
        seen.append(f"QoS {qos}: HTTP {status}, {milliseconds:.0f} ms")
    return "; ".join(seen)


def _refused_posts(stage: Stage) -> str:
    anonymous = stage.service.post('{"topic": "orders/1/2/status", "payload": "x"}', None)
    assert anonymous.status == 401, f"without a token: {anonymous.status} {anonymous.body}"
    elsewhere = stage.service.publish("payments/1", "x")
    assert elsewhere.status == 403, f"to payments/1: {elsewhere.status} {elsewhere.body}"
    return "no token: HTTP 401; a topic that the object does not allow: HTTP 403"


def _online(stage: Stage) -> str:
    record = eventually(
        lambda: _in_state(stage, "online"), within=5, every=0.05, what="presence says online"
    )
    return f"online on {record['node']} since {record['since']}"


def _cut(stage: Stage) -> str:
    begun = time.monotonic()
    stage.phone.cut()
    record = eventually(
        lambda: _in_state(stage, "offline"),
        within=_OFFLINE_WITHIN_SECONDS,
        every=0.05,
        what="presence says offline",
    )
    return f"TCP reset; offline {time.monotonic() - begun:.2f} s later (was on {record['node']})"


def _elsewhere(stage: Stage) -> str:
    left = stage.presence()["node"]
    payload = f"delivered {uuid.uuid4().hex}"
    status = stage.post(payload, 1)
    node = stage.other_node(left)
    code = stage.phone.connect(stage.forward(node))
    assert code == 0, f"CONNACK {code:#04x} on {node}"
    assert stage.phone.session_present, f"{node} knows nothing of the session that was on {left}"
    stage.arrives(payload)
    # A later message is the fence: a second copy of the first would have come before it.
    fence = f"fence {uuid.uuid4().hex}"
    stage.post(fence, 1)
    stage.arrives(fence)
    copies = stage.phone.with_payload(payload)
    assert len(copies) == 1, f"delivered {len(copies)} times: {copies}"
    eventually(
        lambda: _in_state(stage, "online")["node"] == node, within=5, what=f"presence on {node}"
    )
    return f"HTTP {status} while away; left {left}, came back on {node}: delivered once"


def _publisher_pool(stage: Stage) -> str:
    address = stage.forward(f"{stage.name}-publisher-0")
    client_id = f"{stage.client_id}-p"
    token = stage.issuer.token(client_id, stage.customer)
    phone = Phone(client_id, token, version=stage.version)
    try:
        code = phone.connect(address)
    finally:
        phone.disconnect()
    assert code == stage.version.refused, f"CONNACK {code:#04x} on the publisher pool"
    return f"a good phone token on {stage.name}-publisher-0: CONNACK {code:#04x}"


def _counts(stage: Stage) -> str:
    def counted() -> bool:
        body = stage.cluster.existing(KIND, stage.name, stage.namespace)
        status = body.get("status") or {}
        ready = condition(body, "Ready").get("status") == "True"
        pools = (status["publishers"]["summary"], status["subscribers"]["summary"])
        seen = {"ready": ready, "clients": status.get("clients"), "pools": pools}
        assert ready, seen
        assert status["clients"] >= 1, seen
        assert all(p.split("/")[0] == p.split("/")[1] for p in pools), seen
        return True

    eventually(counted, within=60, every=1, what="the counts in kubectl get liveconnect")
    return stage.cluster.kubectl("get", "liveconnect", stage.name, "-n", stage.namespace).rstrip()


def _in_state(stage: Stage, state: str) -> dict[str, str]:
    record = stage.presence()
    assert record["state"] == state, record
    return record


STEPS: tuple[Step, ...] = (
    Step("connects", "a phone connects with its access token", _connects),
    Step("strangers", "phones without a good token are refused", _strangers),
    Step("subscribes", "the phone subscribes to its customer's orders", _subscribes),
    Step("other-customer", "another customer's orders are refused", _other_customer),
    Step("messages", "a microservice posts, the phone receives", _messages),
    Step("refused-posts", "the gateway refuses what is not allowed", _refused_posts),
    Step("online", "presence says online", _online),
    Step("cut", "the phone's TCP connection is cut", _cut),
    Step("elsewhere", "a message waits and follows to another node", _elsewhere),
    Step("publisher-pool", "the publisher pool refuses the phone", _publisher_pool),
    Step("counts", "kubectl get liveconnect shows the counts", _counts),
)
