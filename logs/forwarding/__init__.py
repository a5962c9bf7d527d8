"""Forwarding: the entries of a tenant, in the order of positions, at least once, to a SIEM or an object storage, from a durable cursor.

`forwarders` is what people do; `following` reads, sends and moves the cursor, in the process of the followers; `destinations` are the ways out;
`syslog` is pure. Entries are sent as the live tail shows them: what is encrypted is hidden.

Promises: no entry that the query finds is skipped, whoever dies; a destination that hangs or fails holds up no other, and says so in its row.
"""

from logs.forwarding.forwarders import NewForwarder, change_forwarder, create_forwarder, delete_forwarder, replay_from, switch

__all__ = ["NewForwarder", "change_forwarder", "create_forwarder", "delete_forwarder", "replay_from", "switch"]
