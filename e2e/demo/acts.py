"""The demo's two commands."""

from __future__ import annotations

import contextlib
import shutil

from e2e import bringup
from e2e.demo import byhand
from e2e.demo.screen import ActError, Screen
from e2e.kit import artifacts, samples
from e2e.kit.cluster import Cluster
from e2e.kit.issuer import Issuer
from e2e.kit.phone import Address
from e2e.kit.ready import wait_ready
from e2e.kit.story import STEPS, Stage
from e2e.providers.progress import StepError

_READY_WITHIN_SECONDS = 420


def up() -> int:
    """Bring everything up, play the story, and return the exit code."""
    screen = Screen()
    try:
        return _up(screen)
    except ActError as failed:
        return _failed(screen, failed)


def down() -> int:
    """Remove everything that the demo made, and return the exit code."""
    try:
        bringup.provider().delete()
    except (StepError, OSError) as error:
        print(f"demo: FAIL: not everything could be removed: {error}", flush=True)
        return 1
    shutil.rmtree(byhand.FOLDER, ignore_errors=True)
    print("demo: everything is removed; builds stay in the cache for the next time", flush=True)
    return 0


def _up(screen: Screen) -> int:
    issuer = bringup.issuer()
    screen.title("LiveConnect: from nothing to a message on a phone")
    with screen.act("Kubernetes is up"):
        where = bringup.provider()
        cluster = bringup.kubernetes(where)
    with screen.act("images are built and loaded"):
        bringup.images(where, cluster)
    with screen.act("the operator is installed"):
        bringup.operator(cluster)
    with screen.act("the quickstart object is applied and Ready"):
        name = samples.apply_quickstart(cluster, issuer)["metadata"]["name"]
        wait_ready(cluster, name, within=_READY_WITHIN_SECONDS, say=screen.line)
    address = _story(screen, cluster, issuer)
    screen.title("Try it by hand")
    screen.verbatim(byhand.commands(cluster, issuer, address))
    screen.title("To stop: make demo-down")
    print(f"demo: PASS in {screen.seconds}s", flush=True)
    return 0


def _story(screen: Screen, cluster: Cluster, issuer: Issuer) -> Address:
    """Play the story; return where phones connect to."""
    screen.title("The story")
    with screen.act("phone and microservice are on stage", announced=False):
        stage = Stage(cluster, issuer)
    try:
        for step in STEPS:
            table = step.name == "counts"
            with screen.act(step.title, announced=False):
                seen = step.play(stage)
            if table:
                screen.verbatim(f"\n{seen}")
            else:
                screen.line(seen)
        return stage.address
    finally:
        stage.close()


def _failed(screen: Screen, failed: ActError) -> int:
    """Say what failed and where to look."""
    if failed.__cause__ is not None:
        screen.trouble(failed.__cause__)
    with contextlib.suppress(StepError):  # not even a provider
        where = bringup.provider()
        if where.kubeconfig().exists():
            folder = artifacts.dump(bringup.reach(where), "demo")
            screen.line(f"objects, events and logs: {folder}")
    screen.line(f"build logs: {bringup.LOGS}")
    screen.line("the cluster is left: `make demo` goes on, `make demo-down` removes it")
    print(f"demo: FAIL in {screen.seconds}s: {failed.title}", flush=True)
    return 1
