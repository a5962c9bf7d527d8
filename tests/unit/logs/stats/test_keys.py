"""Keys of kept answers: no two questions, tenants or logs share one."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from logs.stats.caching import LogState, key_of

PARTS = st.tuples(st.uuids(), st.text(max_size=12), st.text(st.sampled_from("0123456789:"), max_size=6), st.integers(0, 99))


@given(one=PARTS, other=PARTS)
def test_keys_differ_where_anything_does(one: tuple[uuid.UUID, str, str, int], other: tuple[uuid.UUID, str, str, int]) -> None:
    keys = [key_of(tenant, identity, LogState(origin, count)) for tenant, identity, origin, count in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
