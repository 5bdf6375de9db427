"""Volumes: they grow with the spec, and outlive their nodes where the spec says so.

A StatefulSet's claim templates cannot be changed. So the claims are patched first; once all of them
ask for the new size, the StatefulSet is deleted without its pods and made anew, and adopts them:
nothing restarts. Each step is found from what is observed (`orphans`, `grow`), so that any process
may die at any of them.

With `whenScaled: Retain` a claim is never deleted. It is marked as retired instead, with the number
of the next life; the pool's ConfigMap tells that number to the pod that gets the claim again, whose
start moves the old state aside (`set-aside.sh`): with it the node could not join (operations.md,
`non_empty_node`).
"""

from liveconnect.controller.planner.storage.condition import storage_ready
from liveconnect.controller.planner.storage.growth import Growth, grow
from liveconnect.controller.planner.storage.ownership import entrusted
from liveconnect.controller.planner.storage.retention import lives, renewed, retained, vacant
from liveconnect.controller.planner.storage.sets import classes_in_question, orphans

__all__ = [
    "Growth",
    "classes_in_question",
    "entrusted",
    "grow",
    "lives",
    "orphans",
    "renewed",
    "retained",
    "storage_ready",
    "vacant",
]
