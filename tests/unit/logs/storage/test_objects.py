"""Object storage in a folder: what paths and addresses may say, and whose the files are."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.storage import objects

UNSAFE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../outside",
    "a/../../outside",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "a\\..\\b",
    "..\\outside",
    "a\x00b",
    "a\nb",
    "%2e%2e/outside",
    "a%2fb",
    "~root/x\x7f",
    "a b",
    "\u2025/outside",
    "a/\uff0e\uff0e/b",
    "e\u0301",
    "file:///etc/passwd",
    "x" * 256,
    "/".join(["x" * 200] * 6),
]


@pytest.fixture
def store(tmp_path: Path) -> objects.ObjectStore:
    (tmp_path / "outside").write_bytes(b"not to be read")
    return objects.open_store((tmp_path / "store").as_uri())


CALLS: list[Callable[[objects.ObjectStore, str], object]] = [
    lambda store, path: objects.put_new(store, path, b"x"),
    objects.read,
    objects.names,
    lambda store, path: objects.newest_name(store, path, 1),
    objects.open_writer,
    lambda store, path: objects.read_range(store, path, 0, 1),
    objects.discard,
    lambda store, path: list(objects.contents(store, path)),
]


@pytest.mark.parametrize("path", UNSAFE)
def test_path_that_leads_elsewhere_is_refused_by_every_call(store: objects.ObjectStore, tmp_path: Path, path: str) -> None:
    for call in CALLS:
        with pytest.raises(objects.UnsafePath):
            call(store, path)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["outside", "store"]
    assert (tmp_path / "outside").read_bytes() == b"not to be read"


@given(st.lists(st.sampled_from(["a", "b.c", "..", ".", "", "x=1", "%2e", "/", "\\", "\x00", "é"]), min_size=1, max_size=6))
def test_safe_path_stays_below_its_folder(names: list[str]) -> None:
    path = "/".join(names)
    try:
        objects.checked_path(path)
    except objects.UnsafePath:
        return
    assert os.path.normpath("/store/" + path) == "/store/" + path


def test_paths_of_two_tenants_never_meet() -> None:
    one, two = (uuid.uuid4() for _ in range(2))
    paths = {objects.checked_path(f"{tenant}/{job}/{lease}/x") for tenant in (one, two) for job in (one, two) for lease in (one, two)}
    assert len(paths) == 8


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/var/lib/x",
        "http://example.com/x",
        "https://169.254.169.254/",
        "memory:///",
        "ftp://x/y",
        "file://host/x",
        "file:relative",
        "file:///a/../../etc",
        "file:///a/%2e%2e/etc",
        "file:///a%00b",
        "file:///a?b",
        "file:///a#b",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?endpoint=http://elsewhere",
    ],
)
def test_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"object storage|folder") as refused:
        objects.open_store(url)
    assert "secret" not in str(refused.value)


def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = objects.open_store((tmp_path / "made" / "here").as_uri())
        assert objects.put_new(store, "folder/new", b"x")
        assert not objects.put_new(store, "folder/new", b"y")
        writer = objects.open_writer(store, "folder/deep/large")
        for _ in range(3):
            writer.write(bytes(objects.PART_BYTES))
        writer.close()
        # What else the process makes is as its account wants it.
        (tmp_path / "other").touch()
    finally:
        assert os.umask(before) == 0o022
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes.pop("other") == 0o644
    assert set(modes) == {"made", "made/here", "made/here/folder", "made/here/folder/new", "made/here/folder/deep", "made/here/folder/deep/large"}
    assert all(mode == (0o700 if (tmp_path / path).is_dir() else 0o600) for path, mode in modes.items() if path != "made"), modes


def test_object_with_a_strange_name_is_not_ours(store: objects.ObjectStore, tmp_path: Path) -> None:
    objects.put_new(store, "a/1", b"ours")
    (tmp_path / "store" / "a" / "strange name").write_bytes(b"whose?")
    assert objects.names(store, "a") == ["a/1"]
    assert list(objects.contents(store, "a")) == [("a/1", b"ours")]
