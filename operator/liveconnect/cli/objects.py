"""The objects that a question is answered from: read by `kubectl`, or from files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import yaml

from liveconnect.api.v1alpha1 import GROUP, KIND, PLURAL, TOPIC_KIND, TOPIC_PLURAL, Cluster, Topic
from liveconnect.cli.failure import CommandError

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Objects:
    """A cluster object and what belongs to it."""

    cluster: Cluster
    topics: tuple[Topic, ...]
    """The topic objects that are for it."""
    namespaces: dict[str, dict[str, str]]
    """Labels of the namespaces."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, in words."""


@dataclass(frozen=True)
class Kubectl:
    """The user's own kubectl: its contexts, its authentication."""

    options: tuple[str, ...]
    """Such as `--context` and its value."""

    def get(self, *arguments: str) -> dict[str, Any]:
        """Run `kubectl get … -o json`.

        Raises:
            CommandError: it failed; the message is kubectl's.
        """
        program = shutil.which("kubectl")
        if program is None:
            raise CommandError("kubectl is not on the PATH; install it, or give files with -f")
        command = [program, *self.options, "get", *arguments, "-o", "json"]
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and the user's own kubectl
                command, check=False, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"kubectl did not answer within {_TIMEOUT_SECONDS} s") from None
        if done.returncode:
            raise CommandError(f"kubectl: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def from_cluster(kubectl: Kubectl, name: str | None) -> Objects:
    """Read the cluster object, its topic objects and, where they matter, the namespaces' labels.

    Raises:
        CommandError: there is no such object, or it may not be read.
    """
    what = f"{PLURAL}.{GROUP}"
    found = kubectl.get(what, name) if name else kubectl.get(what)
    cluster = _the_cluster(found.get("items", [found]), name)
    notes = []
    try:
        topics = kubectl.get(f"{TOPIC_PLURAL}.{GROUP}", "--all-namespaces")["items"]
    except CommandError as error:
        topics = []
        notes.append(f"topic objects are left out: {error}")
    labels: dict[str, dict[str, str]] = {}
    if any(d.namespaceSelector for d in cluster.spec.auth.delegations):
        try:
            labels = _labels(kubectl.get("namespaces")["items"])
        except CommandError as error:
            notes.append(f"delegations by label are left out: {error}")
    return Objects(cluster, _topics(topics, cluster), labels, tuple(notes))


def from_files(files: Sequence[Path], namespace: str, name: str | None) -> Objects:
    """Read the objects from YAML or JSON files; `-` is the standard input.

    Args:
        files: with one `LiveConnectCluster`, and any number of `LiveConnectTopic` and `Namespace`.
        namespace: of objects that say none.
        name: of the cluster object, if there are several.

    Raises:
        CommandError: a file cannot be read, or there is no cluster object.
    """
    bodies = [body for file in files for body in _documents(file)]
    for body in bodies:
        body.setdefault("metadata", {}).setdefault("namespace", namespace)
        body["metadata"].setdefault("uid", "")
    cluster = _the_cluster([body for body in bodies if body.get("kind") == KIND], name)
    topics = [body for body in bodies if body.get("kind") == TOPIC_KIND]
    labels = _labels(body for body in bodies if body.get("kind") == "Namespace")
    return Objects(cluster, _topics(topics, cluster), labels)


def read_text(file: Path) -> str:
    """Return a file's text; `-` is the standard input.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {file}: {error}") from None


def _documents(file: Path) -> list[dict[str, Any]]:
    try:
        found = list(yaml.safe_load_all(read_text(file)))
    except yaml.YAMLError as error:
        raise CommandError(f"{file} is not YAML: {error}") from None
    bodies = []
    for document in found:
        items = document.get("items") if isinstance(document, dict) else None
        bodies += items if isinstance(items, list) else [document]
    return [body for body in bodies if isinstance(body, dict)]


def _the_cluster(bodies: Sequence[dict[str, Any]], name: str | None) -> Cluster:
    chosen = [body for body in bodies if name in {None, body.get("metadata", {}).get("name")}]
    if not chosen:
        raise CommandError(f"there is no {KIND}{f' {name}' if name else ''} here")
    if len(chosen) > 1:
        names = ", ".join(sorted(body["metadata"]["name"] for body in chosen))
        raise CommandError(f"which {KIND}: {names}? Say --cluster NAME")
    try:
        return Cluster.parse(chosen[0])
    except (pydantic.ValidationError, KeyError) as error:
        raise CommandError(f"{KIND} cannot be read: {error}") from None


def _topics(bodies: Iterable[dict[str, Any]], cluster: Cluster) -> tuple[Topic, ...]:
    topics = []
    for body in bodies:
        try:
            topics.append(Topic.parse(body))
        except (pydantic.ValidationError, KeyError) as error:
            raise CommandError(f"{TOPIC_KIND} cannot be read: {error}") from None
    return tuple(t for t in topics if t.cluster == (cluster.namespace, cluster.name))


def _labels(bodies: Iterable[dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {body["metadata"]["name"]: dict(body["metadata"].get("labels") or {}) for body in bodies}
