"""Object storage by URL: `file://` folders, `s3://`, `gs://`, `az://`. Credentials come from the environment, as each cloud's tools have it.

Invariants:
- A path is made of plain names: nothing in it climbs, begins anew, is decoded once more or ends early, in any storage (`UnsafePath`).
- Files and folders that are made belong to their owner alone (0600, 0700).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
SCHEMES = ("file", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
MAX_PATH_LENGTH = 1024
# No percent sign, no backslash, no control character, nothing outside of ASCII, which storages spell in two ways.
_NAME = re.compile(r"[A-Za-z0-9!$&'()+,.:;=@_~-]{1,255}")
# The mask of permissions is the process's, not the thread's.
_mask_lock = threading.Lock()


class UnsafePath(OSError):
    """A path that is not made of plain names. Nothing was read or written."""


class ObjectWriter(Protocol):
    """An object in the making. It is there, and whole, once `close` has come back; one that is dropped before never was."""

    def write(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...


def checked_path(path: str) -> str:
    """The path. Raises UnsafePath unless it is names with slashes between them."""
    names = path.split("/")
    if len(path) > MAX_PATH_LENGTH or not all(_NAME.fullmatch(name) and name not in (".", "..") for name in names):
        raise UnsafePath(f"{path[:200]!r} is no path of an object.")
    return path


def open_store(url: str) -> ObjectStore:
    """The storage at `url`; a folder is made if there is none, for its owner alone. Raises StorageError, or ValueError for a URL that is none."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"{parts.scheme!r} is no kind of object storage. There are {', '.join(SCHEMES)}.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("The address of an object storage has no user, password, query or fragment; credentials come from the environment.")
    if parts.scheme != "file":
        return from_url(url)
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise ValueError("The address of a folder reads file:///absolute/path.")
    with _for_owner_alone():
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(Path(path))


def put_new(store: ObjectStore, path: str, content: bytes) -> bool:
    """Write an object that must not exist yet. False, and nothing changed, if there is one."""
    try:
        with _for_owner_alone():
            obstore.put(store, checked_path(path), content, mode="create")
    except AlreadyExistsError:
        return False
    return True


def read(store: ObjectStore, path: str) -> bytes:
    return bytes(obstore.get(store, checked_path(path)).bytes())


def names(store: ObjectStore, prefix: str) -> list[str]:
    """The paths of all objects below `prefix`, in order. Those that are no paths of ours are left out: nobody of us wrote them."""
    found = (object["path"] for page in obstore.list(store, checked_path(prefix)) for object in page)
    return sorted(path for path in found if _is_safe(path))


def newest_name(store: ObjectStore, prefix: str, depth: int) -> str | None:
    """The last path, in order, below `prefix` where folders are nested `depth` deep. Reads one folder a level."""
    folder = checked_path(prefix)
    for _ in range(depth):
        folders = sorted(filter(_is_safe, obstore.list_with_delimiter(store, folder)["common_prefixes"]))
        if not folders:
            return None
        folder = folders[-1]
    objects = sorted(found["path"] for found in obstore.list_with_delimiter(store, folder)["objects"] if _is_safe(found["path"]))
    return objects[-1] if objects else None


def contents(store: ObjectStore, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every object below `prefix` in order of its path: path and content."""
    for name in names(store, prefix):
        yield name, read(store, name)


def open_writer(store: ObjectStore, path: str) -> ObjectWriter:
    """Write an object piece by piece, with bounded memory (a multipart upload). Whatever stood at `path` is replaced."""
    return _Writer(obstore.open_writer(store, checked_path(path), buffer_size=PART_BYTES, max_concurrency=MAX_PARTS_UNDER_WAY))


def read_range(store: ObjectStore, path: str, start: int, stop: int) -> bytes:
    """The bytes `[start, stop)` of an object."""
    return bytes(obstore.get_range(store, checked_path(path), start=start, end=stop))


def open_file(store: ObjectStore, path: str, size_bytes: int) -> RangedFile:
    """An object as a file to be read from, range by range."""
    return RangedFile(store, checked_path(path), size_bytes)


def discard(store: ObjectStore, folder: str) -> None:
    """Remove every object below `folder`, and what broken-off writers left there. Nothing if there is none."""
    obstore.delete(store, names(store, folder))
    if isinstance(store, LocalStore) and store.prefix is not None:
        # A writer that was killed leaves its parts as a file that `names` does not show. (In S3 a lifecycle rule ends such uploads.)
        shutil.rmtree(Path(store.prefix) / checked_path(folder), ignore_errors=True)


class RangedFile(io.RawIOBase):
    """An object of `size_bytes` as a file: what is read of it is asked of the storage, and nothing else. Raises OSError where there is less."""

    def __init__(self, store: ObjectStore, path: str, size_bytes: int) -> None:
        self._store = store
        self._path = path
        self._size_bytes = size_bytes
        self._place = 0

    def range(self, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)`."""
        content = read_range(self._store, self._path, start, stop) if stop > start else b""
        if len(content) != stop - start:
            raise OSError(f"{self._path} has no bytes {start} to {stop}: it was cut off")
        return content

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size_bytes}[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        stop = self._size_bytes if size < 0 else min(self._place + size, self._size_bytes)
        content = self.range(self._place, stop)
        self._place = stop
        return content


class _Writer:
    """An object in the making whose file, where it becomes one, is its owner's alone."""

    def __init__(self, inner: ObjectWriter) -> None:
        self._inner = inner

    def write(self, data: bytes, /) -> int:
        with _for_owner_alone():
            return self._inner.write(data)

    def close(self) -> None:
        with _for_owner_alone():
            self._inner.close()


@contextmanager
def _for_owner_alone() -> Iterator[None]:
    """Files and folders that this process makes meanwhile can be opened by its own account only."""
    with _mask_lock:
        before = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(before)


def _is_safe(path: str) -> bool:
    try:
        return bool(checked_path(path))
    except UnsafePath:
        return False
