"""Object storage by URL: `file://` folders, `s3://`, `gs://`, `az://`. Credentials come from the environment, as each cloud's tools have it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store, from_url

ObjectStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store
# What any of these functions may raise when the storage is away or refuses.
StorageError = (BaseError, OSError)
# An object in the making is sent in parts of this size, two of them at a time at most: what an export may hold in memory.
PART_BYTES = 8 * 2**20
MAX_PARTS_UNDER_WAY = 2


class ObjectWriter(Protocol):
    """An object in the making. It is there, and whole, once `close` has come back; one that is dropped before never was."""

    def write(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...


def open_store(url: str, *, is_private: bool = False) -> ObjectStore:
    """The storage at `url`; a folder is made if there is none, for its owner alone if it `is_private`. Raises StorageError or ValueError."""
    if url.startswith("file://"):
        folder = Path(unquote(urlsplit(url).path))
        if is_private and not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(folder, mkdir=True)
    return from_url(url)


def put_new(store: ObjectStore, path: str, content: bytes) -> bool:
    """Write an object that must not exist yet. False, and nothing changed, if there is one."""
    try:
        obstore.put(store, path, content, mode="create")
    except AlreadyExistsError:
        return False
    return True


def read(store: ObjectStore, path: str) -> bytes:
    return bytes(obstore.get(store, path).bytes())


def names(store: ObjectStore, prefix: str) -> list[str]:
    """The paths of all objects below `prefix`, in order."""
    return sorted(found["path"] for page in obstore.list(store, prefix) for found in page)


def newest_name(store: ObjectStore, prefix: str, depth: int) -> str | None:
    """The last path, in order, below `prefix` where folders are nested `depth` deep. Reads one folder a level."""
    folder = prefix
    for _ in range(depth):
        folders = sorted(obstore.list_with_delimiter(store, folder)["common_prefixes"])
        if not folders:
            return None
        folder = folders[-1]
    objects = sorted(found["path"] for found in obstore.list_with_delimiter(store, folder)["objects"])
    return objects[-1] if objects else None


def contents(store: ObjectStore, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every object below `prefix` in order of its path: path and content."""
    for name in names(store, prefix):
        yield name, read(store, name)


def open_writer(store: ObjectStore, path: str) -> ObjectWriter:
    """Write an object piece by piece, with bounded memory (a multipart upload). Whatever stood at `path` is replaced."""
    return obstore.open_writer(store, path, buffer_size=PART_BYTES, max_concurrency=MAX_PARTS_UNDER_WAY)


def read_range(store: ObjectStore, path: str, start: int, stop: int) -> bytes:
    """The bytes `[start, stop)` of an object."""
    return bytes(obstore.get_range(store, path, start=start, end=stop))


def discard(store: ObjectStore, folder: str) -> None:
    """Remove every object below `folder`, and what broken-off writers left there. Nothing if there is none."""
    obstore.delete(store, names(store, folder))
    if isinstance(store, LocalStore) and store.prefix is not None:
        # A writer that was killed leaves its parts as a file that `names` does not show. (In S3 a lifecycle rule ends such uploads.)
        shutil.rmtree(Path(store.prefix) / folder, ignore_errors=True)
