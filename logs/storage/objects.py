"""Object storage by URL: `file://` folders, `s3://`, `gs://`, `az://`. Credentials come from the environment, as each cloud's tools have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store, from_url

ObjectStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store
# What any of these functions may raise when the storage is away or refuses.
StorageError = (BaseError, OSError)


def open_store(url: str) -> ObjectStore:
    """The storage at `url`; a folder is made if there is none. Raises StorageError or ValueError."""
    if url.startswith("file://"):
        return LocalStore(Path(unquote(urlsplit(url).path)), mkdir=True)
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
