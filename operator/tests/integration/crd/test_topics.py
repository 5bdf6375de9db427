"""`LiveConnectTopic` objects: the good ones are accepted, the others refused with the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.golden import topic_samples
from liveconnect.api.v1alpha1 import Topic
from tests.integration.crd.conftest import ApiServer
from tests.integration.crd.objects import ABSENT, good_topic, with_field

pytestmark = pytest.mark.integration

_FILTER = "spec.rules.0.filter"

BAD: list[tuple[str, Any, str, str]] = [
    ("spec", ABSENT, "spec", "Required"),
    ("spec.cluster", ABSENT, "spec.cluster", "Required"),
    ("spec.cluster.name", ABSENT, "spec.cluster.name", "Required"),
    ("spec.cluster.name", "Demo", "spec.cluster.name", "should match"),
    ("spec.cluster.name", "d" * 41, "spec.cluster.name", "more than 40"),
    ("spec.cluster.namespace", "", "spec.cluster.namespace", "should match"),
    ("spec.rules", ABSENT, "spec.rules", "Required"),
    ("spec.rules", [], "spec.rules", "at least 1 item"),
    ("spec.rules", [{"filter": "a", "allow": ["publish"]}] * 51, "spec.rules", "at most 50"),
    ("spec.rules.0.allow", [], "spec.rules[0].allow", "at least 1 item"),
    ("spec.rules.0.allow", ["publish", "publish"], "spec.rules[0].allow", "duplicate"),
    ("spec.rules.0.maxQoS", 3, "spec.rules[0].maxQoS", "less than or equal to 2"),
    ("spec.rules.0.novelty", 1, "spec.rules[0].novelty", "field not declared in schema"),
    (_FILTER, "orders/#/status", "spec.rules[0].filter", "only in the last level"),
    (_FILTER, "orders/x+", "spec.rules[0].filter", "alone in its level"),
    (_FILTER, "$SYS/#", "spec.rules[0].filter", "begin with $"),
    (_FILTER, "orders/{claims.}", "spec.rules[0].filter", "{clientId} and {claims.NAME}"),
    (_FILTER, "a\u0007b", "spec.rules[0].filter", "control characters"),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), BAD)
def test_a_bad_topic_is_refused(
    api_server: ApiServer, path: str, value: Any, field: str, words: str
) -> None:
    refusal = api_server.refusal(with_field(good_topic(), path, value))
    assert field in refusal
    assert words in refusal


@pytest.mark.parametrize(
    "text", ["#", "a//b", "größe/✓", "{clientId}/+/x-{claims.sub}-y", "a" * 512]
)
def test_a_good_topic_is_accepted(api_server: ApiServer, text: str) -> None:
    assert not api_server.refusal(with_field(good_topic(), _FILTER, text))


@pytest.mark.parametrize("sample", topic_samples(), ids=lambda path: path.stem)
def test_samples_are_accepted_and_defaulted_as_the_models_do(
    api_server: ApiServer, sample: Path
) -> None:
    body = yaml.safe_load(sample.read_text())
    del body["metadata"]["namespace"]
    stored = api_server.apply(body, dry_run=True)
    assert Topic.parse(stored).spec == Topic.parse(body).spec


def test_a_topic_that_nobody_looks_at_says_so(api_server: ApiServer) -> None:
    stored = api_server.apply(good_topic("alone"), dry_run=True)
    accepted = stored["status"]["conditions"][0]
    assert (accepted["type"], accepted["status"], accepted["reason"]) == (
        "Accepted", "Unknown", "Waiting",
    )  # fmt: skip
