"""Whether a pass need not render: everything was as it ought to be, and nothing has changed since.

Rendering is nine tenths of a pass. Hundreds of clusters at rest cost next to nothing without it.
"""

from __future__ import annotations

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.observed import Observed, Rest
from liveconnect.controller.rendering import RenderInputs


def rest(cluster: Cluster, inputs: RenderInputs, observed: Observed) -> Rest:
    """What a pass without anything to apply was made from."""
    return Rest(
        generation=cluster.generation,
        annotations=cluster.annotations,
        inputs=inputs,
        marks=hash(frozenset(observed.marks.items())),
    )


def is_at_rest(cluster: Cluster, inputs: RenderInputs, observed: Observed) -> bool:
    """Whether the last pass found nothing to apply, from the same."""
    known = observed.memory.rest
    return (
        known is not None
        and bool(observed.marks)
        and known.generation == cluster.generation
        and known == rest(cluster, inputs, observed)
    )
