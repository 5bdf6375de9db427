"""Changes posted to an endpoint: signed, in order, at least once, never in anybody's way."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.integration.webhook.world import (
    JwksServer,
    Keys,
    Redis,
    Service,
    eventually,
    running_service,
    write_config,
)

KEY = bytes(range(32))
NODE = "demo-subscriber-0"


@dataclass
class Endpoint:
    """Takes batches, or does not."""

    answers: list[int] = field(default_factory=list)
    """Statuses of the next requests; 204 afterwards."""
    batches: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """What came, refused or not."""
    accepted: list[str] = field(default_factory=list)
    """`client: state`, in the order in which they came."""
    url: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[Endpoint]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = endpoint.answers.pop(0) if endpoint.answers else 204
                headers = {name.lower(): value for name, value in self.headers.items()}
                endpoint.batches.append((headers, body))
                if status < 300:
                    data = [event["data"] for event in json.loads(body)]
                    endpoint.accepted += [f"{one['clientId']}: {one['state']}" for one in data]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{endpoint.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,)).start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}/presence"
            try:
                yield self
            finally:
                server.shutdown()


@dataclass
class Posting:
    """A service that posts to an endpoint."""

    endpoint: Endpoint
    folder: Path
    config: Path
    redis: Redis

    @contextlib.contextmanager
    def service(self) -> Iterator[Service]:
        with running_service(self.folder, self.config) as service:
            client = redis.Redis(port=self.redis.port)
            eventually(lambda: client.get("{lc:shop/demo}notified"))
            client.close()
            yield service


@pytest.fixture
def posting(tmp_path: Path) -> Iterator[Posting]:
    store, cluster, issuer = Redis(tmp_path), Keys("cluster-1"), Keys("device-1")
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    store.start()
    (tmp_path / "bearer").write_text("crm-token\n")
    (tmp_path / "signing").write_text(f"whsec_{base64.b64encode(KEY).decode()}\n")
    with jwks.running(), Endpoint().running() as endpoint:
        config = write_config(tmp_path, jwks, store, cluster)
        document = json.loads(config.read_text())
        document["presence"] = {
            "webhook": {
                "url": endpoint.url,
                "bearer_file": str(tmp_path / "bearer"),
                "signing_file": str(tmp_path / "signing"),
            }
        }
        config.write_text(json.dumps(document))
        yield Posting(endpoint, tmp_path, config, store)
    store.stop()


def accepted(endpoint: Endpoint, *wanted: str) -> None:
    eventually(lambda: endpoint.accepted == list(wanted) or None, within=20)


def test_batches_are_signed_and_say_whose_they_are(posting: Posting) -> None:
    with posting.service() as service:
        service.presence("on_register", "a", NODE)
        service.presence("on_client_gone", "a", NODE)
        accepted(posting.endpoint, "a: online", "a: offline")
    headers, body = posting.endpoint.batches[0]
    assert headers["content-type"] == "application/cloudevents-batch+json"
    assert headers["authorization"] == "Bearer crm-token"
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert json.loads(body)[0]["source"] == "/liveconnect/shop/demo"


@pytest.mark.parametrize("status", [500, 401, 302])
def test_what_is_not_accepted_comes_again_with_the_same_id(posting: Posting, status: int) -> None:
    posting.endpoint.answers = [status, status]
    with posting.service() as service:
        service.presence("on_register", "a", NODE)
        accepted(posting.endpoint, "a: online")
        service.presence("on_register", "b", NODE)
        accepted(posting.endpoint, "a: online", "b: online")
    names = [json.loads(body)[0]["id"] for _, body in posting.endpoint.batches]
    assert len(names) == 4
    assert len(set(names[:3])) == 1


def test_an_endpoint_that_is_away_holds_nobody_up(posting: Posting) -> None:
    posting.endpoint.answers = [500] * 1000
    with posting.service() as service:
        for number in range(20):
            service.presence("on_register", f"c{number}", NODE)
        eventually(lambda: posting.endpoint.batches)
        text = service.request("GET", "/metrics").body.decode()
        assert "liveconnect_webhook_presence_post_failing 1.0" in text


def test_another_process_goes_on_where_the_one_before_was_killed(posting: Posting) -> None:
    with posting.service() as service:
        service.presence("on_register", "a", NODE)
        accepted(posting.endpoint, "a: online")
        posting.endpoint.answers = [500] * 1000
        service.presence("on_register", "b", NODE)
        eventually(lambda: len(posting.endpoint.batches) > 1)
        service.process.kill()
        service.process.wait(10)
    posting.endpoint.answers.clear()
    with posting.service() as service:
        service.presence("on_register", "c", NODE)
        eventually(
            lambda: {"b: online", "c: online"} <= set(posting.endpoint.accepted) or None, within=30
        )
    assert posting.endpoint.accepted.count("a: online") == 1
