"""Encryption of fields: sealed when an entry comes in, opened when somebody who may decrypt reads it.

Envelope: a master key outside of the database (`master_keys`) wraps data keys, one for each data subject of a tenant (`data_key`,
`subject_keys`), and these encrypt fields (`sealing`). Reading goes through `opening` alone. docs/encryption.md says what it means.

Promises: ciphertext opens in the entry, field and tenant that it was made for and nowhere else; whoever may not decrypt learns that there is
something and no more; a damaged or lost key costs the fields under it and never an answer; an entry that needs a key that can't be had
is not stored.
"""

from logs.privacy.encryption.sealing import Encryption, FieldSealer, encryption_of

__all__ = ["Encryption", "FieldSealer", "encryption_of"]
