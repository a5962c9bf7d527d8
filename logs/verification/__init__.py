"""Verification: is the log what was signed? Everything is made again from the stored rows and held against everything else.

rows -> records of the batches -> tiles -> signed heads -> the copies of the heads outside of the database. Keys come from the settings
alone. Promises: what differs is named as exactly as it can be known; nothing is changed; an interrupted run goes on where it was, from
a state that nobody without the server's secret can forge. `rows` (a row and its record), `suspects` (what the differences mean: pure),
`heads` (signed tree heads, in and outside of the database), `tree` (tiles), `walk` (the way through the log), `runs` (runs on record).
"""

from logs.verification.findings import Finding, Kind

__all__ = ["Finding", "Kind"]
