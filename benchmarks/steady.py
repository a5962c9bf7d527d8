"""Posts entries at a steady rate until it is ended: `python -m benchmarks.steady URL ENTRIES_PER_S`.

The first line of standard input is the API key; for every line after it a line is answered: how many entries were stored so far.
"""

from __future__ import annotations

import sys
import threading
import time

import httpx

from benchmarks.rows import application_entries, bulk_bodies, current_second, stamped

SEED = 43
BATCH = 50


class Poster(threading.Thread):
    """Posts by the clock: what was held up is caught up."""

    def __init__(self, url: str, api_key: str, entries_per_s: int) -> None:
        super().__init__(daemon=True)
        self.stored = 0
        self._bodies = bulk_bodies(application_entries(SEED, 5_000), BATCH)
        self._pause_seconds = BATCH / entries_per_s
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}, timeout=30)

    def run(self) -> None:
        begun, number = time.monotonic(), 0
        while True:
            time.sleep(max(0.0, begun + number * self._pause_seconds - time.monotonic()))
            body = stamped(self._bodies[number % len(self._bodies)], current_second())
            self._client.post("/api/v1/logs/bulk", content=body).raise_for_status()
            number += 1
            self.stored += BATCH


def main() -> None:
    poster = Poster(sys.argv[1], sys.stdin.readline().strip(), int(sys.argv[2]))
    poster.start()
    for _ in sys.stdin:
        if not poster.is_alive():
            sys.exit("the posting failed")
        print(poster.stored, flush=True)


if __name__ == "__main__":
    main()
