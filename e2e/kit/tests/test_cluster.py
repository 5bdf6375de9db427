"""A cluster that was not made for tests is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.kit.cluster import Cluster, ForeignClusterError


def kubectl(folder: Path, answer: str) -> Cluster:
    """A cluster whose API server answers this to everything."""
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    program.chmod(0o755)
    return Cluster(folder / "kubeconfig", str(program))


def test_a_cluster_without_our_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignClusterError, match="was not made for LiveConnect's tests"):
        kubectl(tmp_path, "").refuse_unless_ours()


def test_one_with_it_is_not(tmp_path: Path) -> None:
    kubectl(tmp_path, "made-for-liveconnect   1      5m").refuse_unless_ours()
