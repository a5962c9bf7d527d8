"""Sends entries to the API in batches, and tries again when the service is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import zstandard

BATCH_ENTRIES = 1000
BATCH_BYTES = 4 * 2**20
PATIENCE_SECONDS = 120


class SendingFailed(Exception):
    """The import can't go on. The message says why and what would help."""


@dataclass
class Tally:
    """What an import came to so far. `failures` are texts, one an entry."""

    stored: int = 0
    replayed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.stored + self.replayed + len(self.failures)


class Sender:
    """Gathers entries into batches and posts them. `flush` sends what is left; until then nothing of it is safe."""

    def __init__(self, url: str, api_key: str, tally: Tally, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = httpx.Client(
            base_url=url.rstrip("/"), headers={"Authorization": f"Bearer {api_key}"}, timeout=httpx.Timeout(60, connect=5), follow_redirects=False
        )
        self._tally = tally
        self._sleep = sleep
        self._compressor = zstandard.ZstdCompressor(level=3)
        self._lines: list[bytes] = []
        self._places: list[int] = []
        self._keys: set[str] = set()
        self._bytes = 0

    def add(self, place: int, entry: dict[str, Any]) -> bool:
        """Take an entry that stands on line `place`. True if a batch went out."""
        line = msgspec.json.encode(entry)
        key = entry.get("idempotency_key")
        is_full = len(self._lines) >= BATCH_ENTRIES or self._bytes + len(line) > BATCH_BYTES
        # One key may stand in a batch once; in the next one the service compares the two.
        was_sent = bool(self._lines) and (is_full or (isinstance(key, str) and key in self._keys))
        if was_sent:
            self.flush()
        self._lines.append(line)
        self._places.append(place)
        self._bytes += len(line)
        if isinstance(key, str):
            self._keys.add(key)
        return was_sent

    def flush(self) -> None:
        """Send what was gathered. Raises SendingFailed."""
        if not self._lines:
            return
        answer = self._post(self._compressor.compress(b"\n".join(self._lines)))
        self._tally.stored += answer["stored"]
        self._tally.replayed += answer["replayed"]
        for failure in answer.get("failed", []):
            self._tally.failures.append(f"line {self._places[failure['index']]}: {failure['detail']} ({failure['code']} at {failure['pointer']})")
        self._lines, self._places, self._keys, self._bytes = [], [], set(), 0

    def close(self) -> None:
        self._client.close()

    def _post(self, body: bytes) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause_seconds = 0.5
        while True:
            try:
                response = self._client.post(
                    "/api/v1/logs/bulk",
                    params={"partial": "true", "imported": "true"},
                    content=body,
                    headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "zstd"},
                )
            except httpx.TransportError as error:
                reason = f"{self._client.base_url} does not answer: {error}"
            else:
                if response.is_success:
                    answer: dict[str, Any] = response.json()
                    return answer
                reason = _reason(response)
                if response.status_code not in (429, 502, 503, 504):
                    raise SendingFailed(reason)
                pause_seconds = max(pause_seconds, float(response.headers.get("Retry-After", "0") or 0))
            if time.monotonic() + pause_seconds > deadline:
                raise SendingFailed(f"{reason} (tried for {PATIENCE_SECONDS} s)")
            self._sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, 15)


def _reason(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return f"The service answers {response.status_code} {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answers {response.status_code}: is this an audit log?"
