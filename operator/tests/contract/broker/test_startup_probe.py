"""When a broker pod takes clients: the real script, on the dev broker and on recorded answers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from liveconnect.controller.rendering.engine import render_text
from tests.contract.broker.node import KEY, Node, eventually

_RECORDED = json.loads((Path(__file__).parent / "recordings" / "swc-sync-status.json").read_text())
_NODE = "VerneMQ@pod-0.nodes"
_OTHER = "VerneMQ@pod-1.nodes"
_HOOKS = {"table": [{"endpoint": "http://auth/hooks/a"}]}
_WHOLE = [_NODE, _OTHER]


class Answers(BaseHTTPRequestHandler):
    """A node that answers as it is told."""

    of: dict[str, tuple[int, Any]]

    def do_GET(self) -> None:
        status, body = self.of.get(self.path, (404, None))
        raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Be silent."""


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, tuple[int, Any]]]]:
    of: dict[str, tuple[int, Any]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Answers,), {"of": of}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", of
    server.shutdown()
    server.server_close()


def probe(url: str, folder: Path, pod: str, domain: str, hooks: int) -> tuple[int, str]:
    """Run the script as the kubelet does, with its node elsewhere."""
    (folder / "api-key").write_text(KEY)
    script = render_text("startup-probe.sh").replace("http://127.0.0.1:8888", url)
    script = script.replace("/etc/liveconnect/secret", str(folder))
    env = {**os.environ, "POD_NAME": pod, "NODES_DOMAIN": domain, "EXPECTED_HOOKS": str(hooks)}
    done = subprocess.run(
        ["sh", "-c", script], env=env, check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip()


def status(lists: dict[str, list[str]]) -> list[dict[str, Any]]:
    listed = {node: [dict.fromkeys(names, True)] for node, names in lists.items()}
    return [{node: {"num_online": 0, "mystatus": names} for node, names in listed.items()}]


_AGREED = {_NODE: _WHOLE, _OTHER: _WHOLE}
_BEFORE = (200, _RECORDED["before_join"]["answer"])
_IN_SYNC = (200, _RECORDED["in_sync"]["answer"])


@pytest.mark.parametrize(
    ("lists", "sync", "says"),
    [
        pytest.param(_AGREED, _IN_SYNC, "", id="member"),
        pytest.param({_NODE: _WHOLE}, _IN_SYNC, "", id="the-others-are-away"),
        pytest.param(_AGREED, (400, None), "", id="no-such-phase"),
        pytest.param({_NODE: [_NODE]}, _IN_SYNC, "the member list has 1 node(s)", id="lone"),
        pytest.param(
            {_NODE: _WHOLE, _OTHER: [_OTHER]}, _IN_SYNC, "no other node lists this one",
            id="forgotten",
        ),
        pytest.param(
            _AGREED, (200, _RECORDED["in_between"]["answer"]), "5 part(s) of the metadata are not",
            id="not-in-sync",
        ),
        pytest.param(
            _AGREED, _BEFORE, "10 part(s) of the metadata are not", id="not-yet-begun"
        ),
    ],
)  # fmt: skip
def test_who_takes_clients(
    answers: tuple[str, dict[str, tuple[int, Any]]],
    tmp_path: Path,
    lists: dict[str, list[str]],
    sync: tuple[int, Any],
    says: str,
) -> None:
    url, of = answers
    of["/health"] = (200, {"status": "OK"})
    of["/api/v1/webhooks/show"] = (200, _HOOKS)
    of["/status.json"] = (200, status(lists))
    of["/api/v1/node/swc_sync_status"] = sync
    code, said = probe(url, tmp_path, "pod-0", "nodes", hooks=1)
    assert (code == 0, says in said) == (not says, True), said


@pytest.mark.parametrize("path", ["/health", "/api/v1/webhooks/show", "/status.json"])
def test_an_answer_that_fails_lets_nobody_in_and_is_asked_for_again(
    answers: tuple[str, dict[str, tuple[int, Any]]], tmp_path: Path, path: str
) -> None:
    """`/status.json` answered 500 once, right after another node had died (recorded)."""
    url, of = answers
    of["/health"] = (200, {"status": "OK"})
    of["/api/v1/webhooks/show"] = (200, _HOOKS)
    of["/status.json"] = (200, status(_AGREED))
    of["/api/v1/node/swc_sync_status"] = _IN_SYNC
    well, of[path] = of[path], (500, None)
    assert probe(url, tmp_path, "pod-0", "nodes", hooks=1)[0] != 0
    of[path] = well
    assert probe(url, tmp_path, "pod-0", "nodes", hooks=1)[0] == 0


def test_a_node_takes_clients_once_it_has_joined_and_is_in_sync(
    pair: tuple[Node, Node], tmp_path: Path
) -> None:
    """And no sooner than its subscriptions count on the others."""
    first, second = pair

    def tried(node: Node) -> tuple[int, str]:
        *_, third, fourth = node.address.split(".")
        return probe(f"http://{node.address}:8888", tmp_path, "127.0", f"{third}.{fourth}", hooks=1)

    assert tried(second) == (1, "waiting to join: the member list has 1 node(s)")
    rows = second.api("node/swc_sync_status")["table"]
    assert rows[0].keys() == _RECORDED["in_sync"]["answer"]["table"][0].keys()
    assert {row["InitSynced"] for row in rows} == {False}
    second.api(f"cluster/join?discovery-node={first.name}")
    for node in pair:
        eventually(lambda node=node: tried(node)[0] == 0)  # type: ignore[misc]  # mypy cannot infer a lambda's default
        assert {row["InitSynced"] for row in node.api("node/swc_sync_status")["table"]} == {True}
    second.stop()
    second.start()
    assert {row["InitSynced"] for row in second.api("node/swc_sync_status")["table"]} == {True}
