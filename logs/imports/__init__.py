"""Taking over logs of other systems through the HTTP API, as any client would.

`reading` (a file or stream to documents) -> a format (`cloudtrail`, `ndjson`: document to entry) -> `sending` (batches
to the API, with retries). Promises: streaming, so memory does not grow with the file; idempotent by the event's own id,
so the same import twice stores nothing twice; an interrupted import goes on where it was.
"""
