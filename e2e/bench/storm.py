"""Devices that connect through broker and auth service, in a stream and in a storm.

The broker is the stand-in (e2e/broker), which keeps VerneMQ's recorded pool of hook connections.
The peer is the same broker with a hook that always says yes: what it can do with no auth service.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.bench.backend import Backends
from e2e.bench.cores import measured_core, other_core, pinned
from e2e.bench.gobinary import built
from e2e.bench.processes import answers, free_port, listens, running, text
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Row
from e2e.bench.store import store
from e2e.bench.stormpromises import HOOK_BUDGET_SECONDS, Storm, hooks_too_slow, slowest_hook
from e2e.images.broker import broker_binary
from e2e.kit.issuer import AUDIENCE, ISSUER, Issuer
from e2e.providers.progress import say
from liveconnect.api.operands import AuthConfig, Connects, JwtProvider
from liveconnect.api.v1alpha1 import Algorithm

_STREAM = 4000
_STREAM_AT_ONCE = 64
_STREAM_ROUNDS = 3
_STORM = 20_000
_STORM_SECONDS = 20
"""Devices come back at random moments of this time: what a client that waits at random before it
connects again makes of an outage."""
_WITHIN_SECONDS = 240
_KEY = "bench"
_PRESENCE = ("on_register", "on_register_m5", "on_client_wakeup", "on_client_gone")
_CONNECT = ("auth_on_register", "auth_on_register_m5")


@dataclass(frozen=True)
class _World:
    """What both have in common."""

    folder: Path
    backends: Backends
    devices: Path
    key_set: Path


@contextlib.contextmanager
def _world(devices: int) -> Iterator[_World]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        backends = stack.enter_context(Backends.serving(folder))
        issuer, listed, key_set = Issuer.create(), folder / "devices", folder / "jwks.json"
        key_set.write_text(issuer.key_set())
        say(f"    signing {devices} tokens …")
        with listed.open("w") as file:
            for number in range(devices):
                name = f"phone-{number:05}"
                file.write(f"{name} {issuer.token(name, str(number))}\n")
        yield _World(folder, backends, listed, key_set)


@contextlib.contextmanager
def _auth_service(world: _World, connects: Connects) -> Iterator[str]:
    """The service with its store; where it listens."""
    with store(world.folder) as address:
        (world.folder / "store-url").write_text(address)
        config = AuthConfig(
            cluster="bench/bench",
            providers=[
                JwtProvider(
                    issuer=ISSUER,
                    audiences=[AUDIENCE],
                    algorithms=[Algorithm.RS256],
                    client_id_claim="client_id",
                    leeway_seconds=5,
                    jwks_file=str(world.key_set),
                )
            ],
            topics=[],
            publishers=[],
            readers=[],
            service_accounts=world.backends.verification,
            presence_url_file=str(world.folder / "store-url"),
            connects=connects,
        )
        path, port = world.folder / "auth.json", free_port()
        path.write_text(config.model_dump_json())
        env = {
            **os.environ,
            "LIVECONNECT_CONFIG_FILE": str(path),
            "LIVECONNECT_HOST": "127.0.0.1",
            "LIVECONNECT_PORT": str(port),
            "LIVECONNECT_DRAIN_DELAY_SECONDS": "0",
        }
        command = pinned(other_core(), sys.executable, "-m", "liveconnect.webhook")
        url = f"http://127.0.0.1:{port}"
        with running(command, lambda: answers(f"{url}/readyz"), world.folder / "auth.log", env):
            yield url


@contextlib.contextmanager
def _always_yes(folder: Path) -> Iterator[str]:
    port = free_port()
    command = pinned(other_core(), str(built("storm")), f"-ok=127.0.0.1:{port}")
    with running(command, lambda: listens(port), folder / "yes.log"):
        yield f"http://127.0.0.1:{port}"


def _registered(address: str) -> int:
    """Return how many hooks a node has; it listens, and is healthy, before it has any."""
    request = urllib.request.Request(
        f"http://{address}:8888/api/v1/webhooks/show", headers={"x-api-key": _KEY}
    )
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - ours
            return len(json.load(answer)["table"])
    except OSError:
        return 0


@dataclass(frozen=True)
class _Node:
    """A broker that runs."""

    address: str
    """Where devices connect."""
    process: subprocess.Popen[bytes]

    def ended(self) -> bool:
        """Whether it ended by itself; Kubernetes would start it again, without its clients."""
        return self.process.poll() is not None


@contextlib.contextmanager
def _broker(folder: Path, number: int, hooks: str, command: Sequence[str] = ()) -> Iterator[_Node]:
    """One node of the stand-in."""
    base, address = folder / f"node-{number}-{free_port()}", f"127.0.80.{number + 1}"
    etc = base / "etc"
    etc.mkdir(parents=True)
    lines = [
        f"nodename = VerneMQ@{address}",
        "plugins.vmq_webhooks = on",
        f"listener.tcp.mqtt = {address}:1883",
        "listener.tcp.mqtt.max_connections = 30000",
        f"listener.vmq.clustering = {address}:44053",
        f"listener.http.default = {address}:8888",
    ]
    for purpose, group in (("connect", _CONNECT), ("presence", _PRESENCE)):
        for hook in group:
            lines += [
                f"vmq_webhooks.{hook}.hook = {hook}",
                f"vmq_webhooks.{hook}.endpoint = {hooks}/hooks/{purpose}/subscriber/bench-{number}",
            ]
    (etc / "vernemq.conf").write_text("\n".join(lines) + "\n")
    (etc / "vm.args").write_text(f"-name VerneMQ@{address}\n-setcookie bench\n")
    (etc / "advanced.config").write_text(
        f'[{{vmq_server, [{{http_endpoint_api_keys, [{{<<"{_KEY}">>, "mgmt", undefined}}]}}]}}].'
    )
    started = [*command, str(broker_binary()), "console", "-noshell", "-noinput"]
    env = {**os.environ, "DEV_BROKER_BASE": str(base)}

    def ready() -> bool:
        return _registered(address) == len(_CONNECT) + len(_PRESENCE)

    with running(started, ready, base / "log", env) as process:
        node = _Node(f"{address}:1883", process)
        yield node
        if node.ended():
            say(f"    a broker ended:\n{(base / 'log').read_text()[-2000:]}")


def _storms(world: _World, nodes: Sequence[_Node], *flags: str) -> Storm:
    """Let the devices come, a process for each broker: one may not open so many connections."""
    processes = []
    lines = world.devices.read_text().splitlines(keepends=True)
    for number, node in enumerate(nodes):
        mine = world.folder / f"devices-{number}"
        mine.write_text("".join(lines[number :: len(nodes)]))
        command = pinned(
            other_core(), str(built("storm")), f"-addresses={node.address}", f"-devices={mine}",
            f"-within={_WITHIN_SECONDS}s", *flags,
        )  # fmt: skip
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    results: list[dict[str, Any]] = [json.loads(p.communicate()[0]) for p in processes]
    return Storm(results, sum(node.ended() for node in nodes))


def _sound(storm: Storm) -> Storm:
    """Return a storm that broke no promise: nothing can be compared with another one.

    Raises:
        RuntimeError: it did.
    """
    if storm.broken():
        raise RuntimeError(f"not everybody got in: {', '.join(storm.broken())}")
    return storm


def _stream_rate(world: _World, hooks: str) -> float:
    on_one_core = pinned(measured_core())
    with _broker(world.folder, 0, hooks, on_one_core) as node:
        came = _sound(_storms(world, [node], f"-at-once={_STREAM_AT_ONCE}"))
    return _STREAM / came.seconds()


def _measure_stream() -> Measurement:
    unbound = Connects(per_second_per_node=1e9)
    with (
        _world(_STREAM) as world,
        _auth_service(world, unbound) as auth,
        _always_yes(world.folder) as yes,
    ):
        return paired(
            lambda: _stream_rate(world, auth),
            lambda: _stream_rate(world, yes),
            rounds=_STREAM_ROUNDS,
            unit="connects/s",
        )


def _storm(world: _World, hooks: str) -> Storm:
    with _broker(world.folder, 0, hooks) as first, _broker(world.folder, 1, hooks) as second:
        return _storms(world, [first, second], f"-spread={_STORM_SECONDS}s")


def _measure_storm() -> Measurement:
    with _world(_STORM) as world:
        with _always_yes(world.folder) as yes:
            peer = _sound(_storm(world, yes))
        with _auth_service(world, Connects()) as auth:
            ours = _storm(world, auth)
            hook, hook_p99 = slowest_hook(text(f"{auth}/metrics"))
    p99 = max(result["p99_ms"] for result in ours.results)
    retries = sum(result["retries"] for result in ours.results)
    return Measurement(
        ours.seconds(),
        peer.seconds(),
        f"broker restarts: {ours.restarts}; hooks' p99: {hook_p99 * 1000:.0f} ms ({hook}) of "
        f"{HOOK_BUDGET_SECONDS * 1000:.0f} ms; CONNECT to CONNACK p99 {p99:.0f} ms, {retries} "
        "connections tried again",
        (*ours.broken(), *hooks_too_slow(hook, hook_p99)),
    )


STREAM = Row(
    id="connect-through-auth",
    what=f"CONNECTs with fresh RS256 tokens through broker and auth service, {_STREAM_AT_ONCE} "
    "at a time, presence written; the broker on a core of its own",
    unit="connects/s",
    peer="the same broker, a hook that always says yes",
    goal=0.95,
    measure=_measure_stream,
)

STORM = Row(
    id="connect-storm-20000",
    what=f"{_STORM} devices come back within {_STORM_SECONDS} s to two brokers with the governor's "
    "defaults, until all are connected; none refused, no broker restarted, hooks' p99 within the "
    f"{HOOK_BUDGET_SECONDS:g} s that VerneMQ waits",
    unit="s",
    peer="the same brokers, a hook that always says yes",
    goal=1.5,
    measure=_measure_storm,
    less_is_better=True,
)
