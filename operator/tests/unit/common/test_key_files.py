"""Key sets in a file, as the kubelet mounts a Secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from liveconnect.common.jwks import KeyCache, KeySetError
from liveconnect.common.keysources import MAX_DOCUMENT_BYTES, FileKeySource
from tests.unit.common.test_jwks import EC, RSA, document


class Mount:
    """A volume: the file is a link into a folder that is exchanged as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = 0
        self.file = folder / "jwks.json"
        self.file.symlink_to(folder / "..data" / "jwks.json")

    def project(self, content: bytes | None) -> None:
        self._turn += 1
        real = self._folder / f"..{self._turn}"
        real.mkdir()
        if content is not None:
            (real / "jwks.json").write_bytes(content)
        link = self._folder / "..new"
        link.symlink_to(real)
        link.replace(self._folder / "..data")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


async def test_keys_follow_the_secret(mount: Mount) -> None:
    mount.project(document(RSA))
    cache = KeyCache(FileKeySource(mount.file), refetch_after=0)
    await cache.refresh()
    assert cache.generation == 1
    mount.project(document(RSA, EC))
    await cache.refresh()
    assert (cache.usable, cache.generation, cache.fault) == (True, 2, None)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"x" * (MAX_DOCUMENT_BYTES + 1)])
async def test_a_secret_that_went_bad_takes_no_key_away(
    mount: Mount, content: bytes | None
) -> None:
    mount.project(document(RSA))
    cache = KeyCache(FileKeySource(mount.file), refetch_after=0, retry_after=0)
    await cache.refresh()
    mount.project(content)
    await cache.refresh()
    assert (cache.usable, cache.generation) == (True, 1)
    assert cache.fault
    mount.project(document(EC))
    await cache.refresh()
    assert (cache.usable, cache.generation) == (True, 2)


async def test_what_is_wrong_is_said_without_the_content(mount: Mount) -> None:
    source = FileKeySource(mount.file)
    with pytest.raises(KeySetError, match="No such file"):
        await source.fetch()
    mount.project(b"secret" * MAX_DOCUMENT_BYTES)
    with pytest.raises(KeySetError, match=f"longer than {MAX_DOCUMENT_BYTES} bytes"):
        await source.fetch()


def test_it_is_looked_at_often_enough_to_rotate() -> None:
    assert FileKeySource.poll_seconds <= 5
