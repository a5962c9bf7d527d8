"""The sequencer: gives committed batches their positions, in order, and signs what each tenant's log comes to.

Promises: a position is given once and none is left out, whatever dies when; a checkpoint is signed only if the tree begins with
every tree that was signed before; one tenant's trouble is not the others'. Rooms: `planning` (pure), `rounds` (a transaction),
`leading` (which process), `publishing` (copies outside of the database), `flushing` (the index of words).
"""

from logs.sequencer.leading import Sequencer

__all__ = ["Sequencer"]
