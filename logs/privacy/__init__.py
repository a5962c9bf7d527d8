"""Privacy: what an entry may not hold in the clear is masked or encrypted before anything is made of it.

Promises: canonical bytes, columns, words, roll-ups and streams see only what went through here. `Protection` is the one seam to ingest:
first `masked`, then `sealed`.
"""

from logs.privacy.content import Content
from logs.privacy.protection import Protection, protection_of

__all__ = ["Content", "Protection", "protection_of"]
