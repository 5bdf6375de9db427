"""Names of the store's keys. Stated once, here.

A client's keys lie in its shard, with the indexes and the changes that its record is written
together with; a shard's keys have a hash tag in common, so that a Redis cluster keeps them on one
server, where a script may write them all. Outside a cluster there is one shard.
"""

from __future__ import annotations

import zlib

from liveconnect.webhook.presence import State


class Keyspace:
    """The keys of one LiveConnect cluster."""

    def __init__(self, prefix: str, shards: int) -> None:
        """Make it.

        Args:
            prefix: of this LiveConnect cluster; a store may be shared.
            shards: how many there are; another number is another keyspace.
        """
        self.shards = range(shards)
        self._tags = [
            f"{{{prefix}}}" if shards == 1 else f"{{{prefix}:{shard}}}" for shard in self.shards
        ]

    def shard(self, client_id: str) -> int:
        """Return a client's shard."""
        if len(self.shards) == 1:
            return 0
        return zlib.crc32(client_id.encode()) % len(self.shards)

    def record(self, client_id: str) -> str:
        """A client's record."""
        return f"{self._tags[self.shard(client_id)]}c:{client_id}"

    def history(self, client_id: str) -> str:
        """A client's last changes."""
        return f"{self._tags[self.shard(client_id)]}h:{client_id}"

    def groups_of(self, client_id: str) -> str:
        """The groups that a client's last token named."""
        return f"{self._tags[self.shard(client_id)]}m:{client_id}"

    def group(self, shard: int, digest: str) -> str:
        """The client ids that were seen in a group, in their own order."""
        return f"{self._tags[shard]}g:{digest}"

    def index(self, shard: int, state: State, node: str) -> str:
        """The client ids in a state on a node, in their own order."""
        return f"{self._tags[shard]}i:{state.value}:{node}"

    def indexes(self, shard: int) -> str:
        """The names (`<state>:<node>`) of the indexes that are not empty."""
        return f"{self._tags[shard]}i"

    def changes(self, shard: int) -> str:
        """The stream of changes."""
        return f"{self._tags[shard]}changes"

    def mark(self, name: str) -> str:
        """One of the few keys that are no client's."""
        return f"{self._tags[0]}{name}"
