"""Deliveries: a notice on its way to a webhook, a chat or a mailbox, tried until it arrives or is given up, every attempt on record.

`notices` (what is told, and putting it on its way, in the caller's transaction) -> `sending` (one target's turn) -> `channels` (one call).
`targets` and `replaying` are what people do; `signing` and `retrying` are pure; `secrets` keeps addresses and keys sealed.

Promises: what was enqueued arrives at least once, under one `webhook-id`, or is a dead letter that says why; a target that hangs or fails
holds up no other; what became of it is an entry of the log.
"""

from logs.deliveries.notices import Notice, enqueue
from logs.deliveries.replaying import replay, replay_dead, send_test
from logs.deliveries.sending import due_targets, give_up_old, send
from logs.deliveries.targets import NewTarget, change_target, create_target, delete_target, rotate_secret

__all__ = [
    "NewTarget",
    "Notice",
    "change_target",
    "create_target",
    "delete_target",
    "due_targets",
    "enqueue",
    "give_up_old",
    "replay",
    "replay_dead",
    "rotate_secret",
    "send",
    "send_test",
]
