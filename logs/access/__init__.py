"""Reads are entries: what is done to a tenant's log, looks at it included, becomes an entry in it.

Promises: an entry of the log's own has the source `auditlog`, which nobody can post with; it takes the way of every entry (checked,
masked, committed with the others of its moment); and if it can't be stored, whoever asked for it is told so and does not go on.
`accounts.extensions` is the door to this room: `recorder` is put into it when Django starts, and nobody else needs to import it.
"""

from logs.access.recorder import recorder

__all__ = ["recorder"]
