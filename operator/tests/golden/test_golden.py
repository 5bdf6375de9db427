"""The samples, rendered: reviewed as files, validated strictly, safe by default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from hack.golden import ROOT, SAMPLES, cluster_samples, golden, rendered, sample_cluster

SAMPLE_PATHS = cluster_samples()
TEMPLATES = ROOT / "operator" / "liveconnect" / "controller" / "rendering" / "templates"


def test_golden_files_are_what_is_rendered() -> None:
    """`make generate` rewrites them; the review reads the difference."""
    differing = [p.name for p, text in golden() if not p.exists() or p.read_text() != text]
    assert not differing


@pytest.mark.parametrize("sample", SAMPLE_PATHS, ids=lambda p: p.stem)
def test_manifests_are_valid_to_the_letter(sample: Path) -> None:
    for manifest in rendered(sample_cluster(sample)):
        kubernetes_validate.validate(manifest, "1.34", strict=True)


def pod_specs(sample: Path) -> list[dict[str, Any]]:
    return [
        m["spec"]["template"]["spec"]
        for m in rendered(sample_cluster(sample))
        if m["kind"] in {"Deployment", "StatefulSet"}
    ]


@pytest.mark.parametrize("sample", SAMPLE_PATHS, ids=lambda p: p.stem)
def test_every_pod_is_restricted(sample: Path) -> None:
    """Pod Security `restricted`, a read-only root, no token that nobody asked for."""
    for spec in pod_specs(sample):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "readinessProbe" in container
            assert "livenessProbe" in container


@pytest.mark.parametrize("sample", SAMPLE_PATHS, ids=lambda p: p.stem)
def test_secrets_stay_in_secrets(sample: Path) -> None:
    secret = re.compile("golden-(cookie|key|password)")
    for manifest in rendered(sample_cluster(sample)):
        if manifest["kind"] != "Secret":
            assert not secret.search(str(manifest))


def test_templates_never_glue_values() -> None:
    """`foo-{{ x }}` would be a string that JSON quoting cannot protect."""
    glued = re.compile(r"[^\s:\[,-][ ]*\{\{|\}\}[^\s,\]]|[^ \n]\{\{")
    for template in TEMPLATES.glob("*.yaml.j2"):
        for number, line in enumerate(template.read_text().splitlines(), 1):
            outside = re.sub(r"\{%.*?%\}", "", line)
            assert not glued.search(outside), f"{template.name}:{number}: {line}"


HOSTILE = [
    "\U0001f4f1 phone",
    "\\ud83d\\udcf1",
    "a: b\n  c: d",
    "yes",
    "{{ 1 }}",
    "x\u0000y",
    "'\"\\",
    "- a",
    "null",
    "\u2028",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_stay_strings(text: str) -> None:
    sample = sample_cluster(SAMPLES / "quickstart.yaml")
    service = sample.spec.subscribers.service.model_copy(update={"annotations": {"note": text}})
    subscribers = sample.spec.subscribers.model_copy(update={"service": service})
    spec = sample.spec.model_copy(update={"subscribers": subscribers})
    manifests = rendered(sample.model_copy(update={"spec": spec}))
    found = next(
        m
        for m in manifests
        if m["kind"] == "Service" and m["metadata"]["name"].endswith("-subscriber")
    )
    assert found["metadata"]["annotations"]["note"] == text


@pytest.mark.parametrize("value", ["1\nallow_anonymous = on", "1\rx", "a\u0000b"])
def test_a_broker_option_is_one_line(value: str) -> None:
    sample = sample_cluster(SAMPLES / "quickstart.yaml")
    broker = sample.spec.broker.model_copy(update={"config": {"max_message_size": value}})
    spec = sample.spec.model_copy(update={"broker": broker})
    with pytest.raises(ValueError, match="one line"):
        rendered(sample.model_copy(update={"spec": spec}))
