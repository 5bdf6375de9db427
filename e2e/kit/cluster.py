"""A Kubernetes cluster, by its kubeconfig and kubectl."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from e2e.kit.connection import ApiError, Connection
from e2e.kit.reader import Reader
from e2e.kit.writer import Writer

Manifest = dict[str, Any]

#: Where a cluster says that it was made for demo or tests. Suites write to no other.
MARKER_NAMESPACE = "kube-system"
MARKER_NAME = "made-for-liveconnect"


class KubectlError(RuntimeError):
    """kubectl said no; the message is kubectl's own."""


class ForeignClusterError(RuntimeError):
    """The cluster was not made for this."""


@contextlib.contextmanager
def _as_kubectl() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise KubectlError(str(error)) from error


class Cluster:
    """What the kit needs of the API server."""

    def __init__(self, kubeconfig: Path, kubectl: str = "kubectl") -> None:
        """Point at a cluster.

        Args:
            kubeconfig: How to reach it.
            kubectl: The kubectl to use.
        """
        self.kubeconfig = kubeconfig
        self.binary = kubectl
        connection = Connection(kubeconfig)
        self._reader = Reader(connection)
        self._writer = Writer(connection)

    def command(self, *args: str) -> list[str]:
        """The command line of a kubectl call."""
        return [self.binary, "--kubeconfig", str(self.kubeconfig), *args]

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Run kubectl and return what it printed.

        Raises:
            KubectlError: When it fails or takes longer than `timeout` seconds.
        """
        try:
            done = subprocess.run(
                self.command(*args),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",  # a broker's log may quote any bytes
                check=False,
                timeout=timeout,
                env={**os.environ, "NO_COLOR": "1"},
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(args)}: no answer in {timeout:g} s") from error
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(args[:4])}: {done.stderr.strip()}")
        return done.stdout

    def get(self, kind: str, name: str, namespace: str = "default") -> Manifest | None:
        """One object, None when there is none.

        Raises:
            KubectlError: When it cannot be asked for.
        """
        if self._reader.knows(kind):
            with _as_kubectl():
                return self._reader.get(kind, name, namespace)
        out = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(out) if out.strip() else None

    def existing(self, kind: str, name: str, namespace: str = "default") -> Manifest:
        """One object that must be there.

        Raises:
            KubectlError: When it is not.
        """
        found = self.get(kind, name, namespace)
        if found is None:
            raise KubectlError(f"{kind} {namespace}/{name} is not there")
        return found

    def items(
        self, kind: str, namespace: str | None = "default", selector: str = ""
    ) -> list[Manifest]:
        """Objects of a kind (or of several, separated by commas); all namespaces for None.

        Raises:
            KubectlError: When they cannot be asked for.
        """
        if namespace is not None and self._reader.knows(kind):
            with _as_kubectl():
                return self._reader.items(kind, namespace, selector)
        where = ["-A"] if namespace is None else ["-n", namespace]
        chosen = ["-l", selector] if selector else []
        out = self.kubectl("get", kind, *where, *chosen, "-o", "json")
        found: list[Manifest] = json.loads(out)["items"]
        return found

    def apply(
        self, *manifests: Manifest, namespace: str = "default", dry_run: bool = False
    ) -> list[Manifest]:
        """Apply objects server-side, as a person would; they as the server has them then.

        Args:
            manifests: What to apply.
            namespace: Where objects belong that do not say.
            dry_run: Whether the server only checks them.

        Raises:
            KubectlError: One is refused; those before it are applied.
        """
        with _as_kubectl():
            return [self._writer.apply(one, namespace, dry_run=dry_run) for one in manifests]

    def patch(self, kind: str, name: str, patch: Manifest, namespace: str = "default") -> None:
        """Merge a patch into an object."""
        self.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(patch))

    def delete(
        self, kind: str, name: str, namespace: str = "default", extra: Sequence[str] = ()
    ) -> None:
        """Delete an object without waiting for its end; it may be gone already."""
        self.kubectl(
            "delete", kind, name, "-n", namespace, "--ignore-not-found", "--wait=false", *extra
        )

    def ensure_namespace(self, name: str) -> None:
        """Make a namespace."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def file(self, pod: str, path: str, namespace: str = "default") -> str:
        """A file in a pod's first container."""
        return self.kubectl("exec", pod, "-n", namespace, "--", "cat", path)

    def token(self, namespace: str, service_account: str, audience: str) -> str:
        """A fresh token of a ServiceAccount."""
        return self.kubectl(
            "create", "token", service_account, "-n", namespace, "--audience", audience
        ).strip()

    def is_marked(self) -> bool:
        """Whether the cluster was made for demo or tests."""
        found = self.kubectl(
            "get", "configmap", MARKER_NAME, "-n", MARKER_NAMESPACE, "--ignore-not-found"
        )
        return bool(found.strip())

    def mark(self, purpose: str) -> None:
        """Note in the cluster what it was made for; only its maker may."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": MARKER_NAME, "namespace": MARKER_NAMESPACE},
                "data": {"purpose": purpose},
            },
            namespace=MARKER_NAMESPACE,
        )

    def refuse_unless_ours(self) -> None:
        """Let nobody work on a cluster that was made for something else.

        Raises:
            ForeignClusterError: When the marker is missing.
        """
        if not self.is_marked():
            raise ForeignClusterError(
                f"the cluster of {self.kubeconfig} was not made for LiveConnect's tests: ConfigMap "
                f"{MARKER_NAMESPACE}/{MARKER_NAME} is missing. Nothing was changed in it."
            )


def condition(body: Manifest | None, kind: str) -> Manifest:
    """A condition of an object; empty when it has none of that kind."""
    conditions: list[Manifest] = ((body or {}).get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})
