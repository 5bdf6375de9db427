"""Topic objects whose cluster does not exist: somebody must tell their owners."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from liveconnect.api.v1alpha1 import API_VERSION, KIND
from liveconnect.controller.adapters.kube import Kube, KubeError
from liveconnect.controller.handlers.topic_store import Owner, TopicStore
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.planner.topics import without_cluster

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 60.0


class Strays:
    """The loop over topic objects that no cluster object's loop looks at."""

    def __init__(
        self,
        kube: Kube,
        topics: TopicStore,
        knows: Callable[[Owner], bool],
        leads: Callable[[], bool],
    ) -> None:
        """Make it.

        Args:
            kube: to look for cluster objects, and to write status.
            topics: the topic objects.
            knows: whether there is a cluster object that this operator looks after.
            leads: whether this operator is the one that acts.
        """
        self._kube = kube
        self._topics = topics
        self._knows = knows
        self._leads = leads
        self.due = asyncio.Event()

    async def run(self) -> None:
        """Look whenever told to, and in any case every minute."""
        while True:
            try:
                await asyncio.wait_for(self.due.wait(), _RETRY_SECONDS)
                self.due.clear()
            except TimeoutError:
                pass
            for owner in sorted(self._topics.owners()):
                if self._leads() and not self._knows(owner):
                    await self._tell(owner)

    async def _tell(self, owner: Owner) -> None:
        """Write the status of an absent cluster's topic objects."""
        try:
            # It may be another operator's, or not have been seen yet: the API server knows.
            if await self._kube.get(ObjectKey(API_VERSION, KIND, *owner)) is not None:
                return
            for key, status in without_cluster(self._topics.of(*owner), datetime.now(UTC)):
                await self._kube.patch_status(key, status)
        except KubeError as error:
            _LOG.warning("%s", error)
