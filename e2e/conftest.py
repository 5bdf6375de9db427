"""Fixtures of the scenarios: one Kubernetes cluster, the operator, the quickstart object."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from e2e import bringup, shared_cluster
from e2e.kit import artifacts, roadreport, samples
from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.issuer import Issuer
from e2e.kit.microservice import Microservice
from e2e.kit.ready import wait_ready
from e2e.kit.roadreport import Row
from e2e.shared_cluster import SharedCluster

#: The story first, on a fresh object; logs last, when everything has happened.
_ORDER = (
    "test_kit",
    "test_story",
    "test_presence",
    "test_presence_kills",
    "test_membership",
    "test_mesh",
    "test_drain",
    "test_autoscaling",
    "test_operator",
    "test_logs",
)
_MAX_DUMPS = 5
_SMALL = ("small", "e2e-small")
_FIRST_WORKER = "gw0"
#: What a worker is told by: the path of the cluster's outcome.
_OUTCOME = "cluster_outcome"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin the cluster that workers share, where its progress can be seen."""
    if _is_a_worker(session.config) or session.config.getoption("dist", "no") == "no":
        return
    shared = SharedCluster(Path(tempfile.mkdtemp(prefix="e2e-")) / "outcome")
    session.config.stash[_SHARED] = shared
    shared.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where it reads whether it is up."""
    node.workerinput[_OUTCOME] = str(node.config.stash[_SHARED].outcome)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Which scenarios the workers have before them."""
    node.config.stash[_LEFT] = {i for i in ids if i.startswith("e2e/scenarios/")}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """End the cluster after the last of them: at rest it takes a third of a processor."""
    node = getattr(report, "node", None)
    if node is None or report.when != "teardown":
        return
    left: set[str] = node.config.stash.get(_LEFT, set())
    if report.nodeid not in left:
        return
    left.remove(report.nodeid)
    if not left:
        node.config.stash[_SHARED].end()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave nothing behind."""
    shared = session.config.stash.get(_SHARED, None)
    if shared is not None:
        shared.end()
        shared.join()
        shutil.rmtree(shared.outcome.parent)


def _is_a_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


_SHARED: pytest.StashKey[SharedCluster] = pytest.StashKey()
_LEFT: pytest.StashKey[set[str]] = pytest.StashKey()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the scenarios; bound the tests, not the fixtures that build Kubernetes."""
    scenarios = [i for i in items if "/e2e/scenarios/" in str(i.path)]
    if not scenarios:
        return
    for item in scenarios:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300, func_only=True))
    others = [i for i in items if i not in scenarios]
    scenarios.sort(key=_rank)
    items[:] = [*others, *scenarios]


def _rank(item: pytest.Item) -> int:
    return _ORDER.index(item.path.stem) if item.path.stem in _ORDER else len(_ORDER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep objects, events and logs of a failure."""
    report = yield
    running: Cluster | None = item.config.stash.get(_RUNNING, None)
    dumps = item.config.stash.get(_DUMPS, 0)
    if report.failed and call.excinfo is not None and running is not None and dumps < _MAX_DUMPS:
        item.config.stash[_DUMPS] = dumps + 1
        folder = artifacts.dump(running, re.sub(r"[^\w.-]+", "-", item.name).strip("-"))
        report.sections.append(("artifacts", f"objects, events and logs: {folder}"))
    return report


_RUNNING: pytest.StashKey[Cluster] = pytest.StashKey()
_DUMPS: pytest.StashKey[int] = pytest.StashKey()


_ROADS: pytest.StashKey[list[Row]] = pytest.StashKey()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what bad networks cost."""
    rows = config.stash.get(_ROADS, [])
    if rows:
        terminalreporter.section("bad networks")
        for line in roadreport.table(rows):
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"kept in {roadreport.FILE}")


@pytest.fixture(scope="session")
def roads_seen(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """What phones saw of bad networks; shown at the end, and kept."""
    rows: list[Row] = request.config.stash.setdefault(_ROADS, [])
    yield rows
    roadreport.write(rows)
    if _is_a_worker(request.config):
        output: dict[str, Any] = request.config.workeroutput  # type: ignore[attr-defined]
        output["roads"] = [asdict(row) for row in rows]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker's phones saw."""
    rows = getattr(node, "workeroutput", {}).get("roads", [])
    node.config.stash.setdefault(_ROADS, []).extend(Row(**row) for row in rows)


@pytest.fixture(scope="session")
def toxiproxy(request: pytest.FixtureRequest) -> Path:
    """The program that makes networks bad; a first build shows its progress."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        return bringup.toxiproxy()


@pytest.fixture(scope="package")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Kubernetes cluster of ours with the operator in it."""
    # Building Kubernetes takes minutes: its progress is shown, not captured.
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with contextlib.ExitStack() as stack:
        if _is_a_worker(request.config):
            made = shared_cluster.wait(Path(request.config.workerinput[_OUTCOME]))  # type: ignore[attr-defined]
        else:
            with capture.global_and_fixture_disabled():
                made = stack.enter_context(bringup.for_tests())
        made.refuse_unless_ours()
        request.config.stash[_RUNNING] = made
        yield made
        del request.config.stash[_RUNNING]


@pytest.fixture(scope="session")
def policies_hold() -> bool:
    """Whether NetworkPolicies are known to be enforced in this cluster."""
    return bringup.provider().enforces_policies


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """The token issuer of all phones."""
    return bringup.issuer()


@pytest.fixture(scope="package")
def quickstart(cluster: Cluster, issuer: Issuer) -> Manifest:
    """The quickstart object, ready; every worker but the first has one of another name."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", _FIRST_WORKER)
    name = "quickstart" if worker == _FIRST_WORKER else f"quickstart-{worker}"
    body = samples.apply_quickstart(cluster, issuer, name)
    wait_ready(cluster, body["metadata"]["name"], "default", within=300)
    return body


@pytest.fixture(scope="package")
def small(cluster: Cluster, issuer: Issuer) -> Iterator[Manifest]:
    """The smallest object, ready, with an autoscaled subscriber pool."""
    name, namespace = _SMALL
    cluster.ensure_namespace(namespace)
    autoscaling = {
        "minReplicas": 1,
        "maxReplicas": 3,
        "connectionsPerNode": 10,
        "scaleDown": {"stabilizationSeconds": 5},
    }
    body = samples.tiny(name, namespace, subscribers={"autoscaling": autoscaling})
    cluster.apply(samples.key_set(name, namespace, issuer), body, namespace=namespace)
    wait_ready(cluster, name, namespace, within=240)
    yield body
    cluster.delete(samples.KIND, name, namespace)
    cluster.delete("namespace", namespace)


@pytest.fixture(scope="module")
def orders(cluster: Cluster, quickstart: Manifest) -> Iterator[Microservice]:
    """The microservice that the quickstart object lets publish and read presence."""
    service = Microservice(
        cluster, "default", quickstart["metadata"]["name"], samples.ORDERS_SERVICE
    )
    yield service
    service.close()
