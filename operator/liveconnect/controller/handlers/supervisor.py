"""One loop per cluster object: started when it appears, ended when it is gone.

Not `kopf.daemon`: that puts a finalizer on every user's object, and with the operator away neither
the object nor its namespace could be deleted (ADR 0001). Deletion is the garbage collector's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable

from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.reconciler import Reconciler, run

_Owner = tuple[str, str]


class Supervisor:
    """The loops of all cluster objects; they run only while this process leads."""

    def __init__(self, make: Callable[[], Reconciler]) -> None:
        self._make = make
        self._leads = False
        self._bodies: dict[_Owner, Manifest] = {}
        self._contexts: dict[_Owner, contextvars.Context] = {}
        self._wakes: dict[_Owner, asyncio.Event] = {}
        self._tasks: dict[_Owner, tuple[str, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    async def put(self, body: Manifest) -> None:
        """The object as it is now; starts its loop if there is none for this uid."""
        meta = body["metadata"]
        owner = (meta["namespace"], meta["name"])
        if owner in self._tasks and self._tasks[owner][0] != meta["uid"]:
            await self.remove(body)
        if meta.get("deletionTimestamp"):
            await self.remove(body)
            return
        before = self._bodies.get(owner)
        self._bodies[owner] = body
        self._contexts.setdefault(owner, contextvars.copy_context())
        if owner not in self._tasks:
            self._start(owner)
        elif before is None or _intent(before) != _intent(body):
            # Our own status writes come back as events too: they are nothing new.
            self.wake(owner)

    def _start(self, owner: _Owner) -> None:
        if not self._leads:
            return
        wake = self._wakes.setdefault(owner, asyncio.Event())
        loop = run(self._make(), lambda: self._bodies.get(owner), wake)
        uid = self._bodies[owner]["metadata"]["uid"]
        # kopf posts events only in the context of its handlers; the election has one of its own.
        task = asyncio.create_task(loop, name="/".join(owner), context=self._contexts[owner])
        self._tasks[owner] = (uid, task)

    async def lead(self) -> None:
        """Begin to act on all objects that are known."""
        self._leads = True
        for owner in self._bodies:
            self._start(owner)

    async def follow(self) -> None:
        """Stop acting at once; what is known of the objects is kept up to date."""
        self._leads = False
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        self._wakes.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def leads(self) -> bool:
        """Whether this operator is the one that acts."""
        return self._leads

    def knows(self, owner: _Owner) -> bool:
        """Whether there is such an object."""
        return owner in self._bodies

    def wake(self, owner: _Owner) -> None:
        """Make the object's next pass due now."""
        if owner in self._wakes:
            self._wakes[owner].set()

    async def remove(self, body: Manifest) -> None:
        """End the object's loop."""
        owner = (body["metadata"]["namespace"], body["metadata"]["name"])
        self._bodies.pop(owner, None)
        self._contexts.pop(owner, None)
        self._wakes.pop(owner, None)
        _, task = self._tasks.pop(owner, ("", None))
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def stop(self) -> None:
        """End all loops and forget the objects."""
        await self.follow()
        self._bodies.clear()
        self._contexts.clear()


def _intent(body: Manifest) -> tuple[object, object]:
    return body.get("spec"), body["metadata"].get("annotations")
