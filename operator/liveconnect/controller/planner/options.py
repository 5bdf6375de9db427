"""Options that running nodes take over: no restart for what needs none."""

from __future__ import annotations

from liveconnect.api.v1alpha1 import Cluster, Netsplit
from liveconnect.controller.model.actions import SetOptions
from liveconnect.controller.model.liveoptions import NETSPLIT_OPTIONS, live_options
from liveconnect.controller.model.manifest import digest
from liveconnect.controller.model.observed import Observed
from liveconnect.controller.rendering.configuration import DEFAULT_OPTIONS


def plan_options(cluster: Cluster, observed: Observed) -> tuple[SetOptions, ...]:
    """Set what the object says on every node's process that was not given it yet.

    What was given is remembered, not read back on every pass: after a restart of the operator each
    node is given the same once more, which changes nothing.
    """
    broker = cluster.spec.broker
    netsplit = "on" if broker.netsplit is Netsplit.AVAILABLE else "off"
    options = {**DEFAULT_OPTIONS, **broker.config}
    wanted = {**live_options(options), **dict.fromkeys(NETSPLIT_OPTIONS, netsplit)}
    checked = tuple(sorted(key for key in broker.config if key in wanted))
    mark = digest(wanted)
    return tuple(
        SetOptions(pod.name, wanted, checked, again=pod.life in observed.memory.options)
        for pod in observed.pods
        if pod.name in observed.brokers
        and observed.brokers[pod.name].reachable
        and observed.memory.options.get(pod.life) != mark
    )
