"""`auth-fresh-rs256-vs-go`, `auth-repeat-vs-go`: hooks against a Go server of the same work.

`auth-p99-ms`: how long the slowest of them take.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.backend import Backends
from e2e.bench.cores import measured_core, pinned
from e2e.bench.gobinary import built
from e2e.bench.processes import answers, counter, free_port, running
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Row
from e2e.bench.store import store
from e2e.bench.wrk import Load, Sent, send
from e2e.kit.issuer import AUDIENCE, ISSUER, Issuer
from e2e.providers.progress import say
from liveconnect.api.operands import AuthConfig, Connects, JwtProvider
from liveconnect.api.v1alpha1 import Algorithm

CONNECTIONS = 64
"""Of the 100 that a VerneMQ node would open."""
_ROUNDS = 7
_SECONDS = 2
_P99_ROUNDS = 5
_P99_BOUND_MS = 10.0
_P99_PER_SECOND = 2000
"""Sixty times LiveConnect's 2,000 connects a minute, on one core."""
_TOKENS = 40_000
"""More than can be verified in a round."""
_LEEWAY_SECONDS = 5
_HOOK = "/hooks/auth/subscriber/demo-subscriber-0"
_HEADERS = {"vernemq-hook": "auth_on_register", "Content-Type": "application/json"}
_DECISIONS = "liveconnect_webhook_decisions_total"
_CHECKS = "liveconnect_webhook_token_checks"


@dataclass(frozen=True)
class _Server:
    """One of the two, how it is started on a free port."""

    command: Sequence[str]
    env: dict[str, str]
    url: str


def _body(issuer: Issuer, number: int) -> str:
    """Return a hook's body as VerneMQ sends it, with a token of its own."""
    client_id = f"phone-{number:05}"
    token = issuer.token(client_id, str(number), scope="liveconnect", device="android")
    return json.dumps(
        {
            "peer_addr": "10.1.2.3", "peer_port": 45927, "mountpoint": "",
            "client_id": client_id, "username": token, "password": None, "clean_session": True,
        },
        separators=(",", ":"),
    )  # fmt: skip


def _write_bodies(issuer: Issuer, count: int, path: Path) -> None:
    if count > 1:
        say(f"    signing {count} tokens …")
    with path.open("w") as file:
        file.writelines(f"{_body(issuer, number)}\n" for number in range(count))


def _ours(folder: Path, backends: Backends, key_set: Path, address: str) -> _Server:
    config, store_url = folder / "auth.json", folder / "store-url"
    store_url.write_text(address)  # ready only when it has read who is revoked
    provider = JwtProvider(
        issuer=ISSUER,
        audiences=[AUDIENCE],
        algorithms=[Algorithm.RS256],
        client_id_claim="client_id",
        leeway_seconds=_LEEWAY_SECONDS,
        jwks_file=str(key_set),
    )
    config.write_text(
        AuthConfig(
            cluster="bench/bench",
            providers=[provider],
            topics=[],
            publishers=[],
            readers=[],
            service_accounts=backends.verification,
            presence_url_file=str(store_url),
            connects=Connects(per_second_per_node=1e9),  # the peer has no governor
        ).model_dump_json()
    )
    port = free_port()
    environment = {
        **os.environ,
        "LIVECONNECT_CONFIG_FILE": str(config),
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": str(port),
        "LIVECONNECT_DRAIN_DELAY_SECONDS": "0",
    }
    command = (sys.executable, "-m", "liveconnect.webhook")
    return _Server(command, environment, f"http://127.0.0.1:{port}")


def _peer(key_set: Path) -> _Server:
    address = f"127.0.0.1:{free_port()}"
    command = (
        str(built("authpeer")), f"-listen={address}", f"-jwks={key_set}", f"-issuer={ISSUER}",
        f"-audience={AUDIENCE}", f"-leeway={_LEEWAY_SECONDS}s",
    )  # fmt: skip
    return _Server(command, {**os.environ, "GOMAXPROCS": "1"}, f"http://{address}")


@contextlib.contextmanager
def _serving(server: _Server, log: Path) -> Iterator[None]:
    command = pinned(measured_core(), *server.command)
    with running(command, lambda: answers(f"{server.url}/readyz"), log, server.env):
        yield


def _round(
    server: _Server, bodies: Path, folder: Path, *, fresh: bool, per_second: int = 0
) -> Sent:
    """Start the server, which remembers nothing then, load it, and look at what it did."""
    pause = 1000 * CONNECTIONS // per_second if per_second else 0
    load = Load(server.url + _HOOK, _HEADERS, bodies, CONNECTIONS, _SECONDS, pause_ms=pause)
    metrics = f"{server.url}/metrics"
    with _serving(server, folder / "server.log"):
        sent = send(load, folder)
        allowed = counter(metrics, _DECISIONS, 'outcome="allowed"')
        refused = counter(metrics, _DECISIONS, 'outcome="refused"')
        verified = counter(metrics, _CHECKS, 'source="verification"')
    if allowed < sent.requests or refused:
        raise RuntimeError(f"{server.command[0]}: {refused:g} refused, {allowed:g} allowed")
    if (verified < sent.requests) if fresh else (verified > CONNECTIONS):
        raise RuntimeError(f"{server.command[0]}: {verified:g} of {sent.requests} verified")
    return sent


@contextlib.contextmanager
def _prepared(*, fresh: bool) -> Iterator[tuple[Path, Path, _Server, _Server]]:
    """A folder, the bodies, our service and the peer."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        backends = stack.enter_context(Backends.serving(folder))
        address = stack.enter_context(store(folder))
        issuer, key_set, bodies = Issuer.create(), folder / "jwks.json", folder / "bodies"
        key_set.write_text(issuer.key_set())
        _write_bodies(issuer, _TOKENS if fresh else 1, bodies)
        yield folder, bodies, _ours(folder, backends, key_set, address), _peer(key_set)


def _measure(*, fresh: bool) -> Measurement:
    with _prepared(fresh=fresh) as (folder, bodies, ours, peer):
        return paired(
            lambda: _round(ours, bodies, folder, fresh=fresh).per_second,
            lambda: _round(peer, bodies, folder, fresh=fresh).per_second,
            rounds=_ROUNDS,
            unit="hooks/s",
        )


def _measure_p99() -> Measurement:
    rates: list[float] = []
    with _prepared(fresh=True) as (folder, bodies, ours, peer):

        def p99(server: _Server) -> float:
            sent = _round(server, bodies, folder, fresh=True, per_second=_P99_PER_SECOND)
            rates.append(sent.per_second)
            return sent.p99_ms

        measured = paired(lambda: p99(ours), lambda: p99(peer), rounds=_P99_ROUNDS, unit="ms")
        saturated = [_round(server, bodies, folder, fresh=True).p99_ms for server in (ours, peer)]
    note = (
        f"Go: {measured.peer_value:.1f} ms; at {min(rates):,.0f} hooks/s or more; connections that "
        f"never pause: {saturated[0]:.1f} ms, Go {saturated[1]:.1f} ms"
    )
    return Measurement(measured.value, _P99_BOUND_MS, note)


FRESH = Row(
    id="auth-fresh-rs256-vs-go",
    what="auth_on_register with an RS256 token that was never seen before, one core",
    unit="hooks/s",
    peer="Go net/http",
    goal=0.9,
    measure=lambda: _measure(fresh=True),
)

REPEAT = Row(
    id="auth-repeat-vs-go",
    what="auth_on_register with a token that was verified before, one core",
    unit="hooks/s",
    peer="Go net/http",
    goal=0.9,
    measure=lambda: _measure(fresh=False),
)

P99 = Row(
    id="auth-p99-ms",
    what=f"the slowest of a hundred hooks while {_P99_PER_SECOND:,} come in a second by "
    f"{CONNECTIONS} connections, every token fresh, one core",
    unit="ms",
    peer=f"the bound of {_P99_BOUND_MS:g} ms",
    goal=1.0,
    measure=_measure_p99,
    less_is_better=True,
)
