"""Integrity: each tenant's entries as an append-only Merkle log (RFC 9162), in tiles and signed checkpoints (C2SP).

Promises: a proof that is given out verifies with the public key alone; what is read here changes nothing. Pure: `tree` (which
nodes answer a question), `tiles` (how they are stored). Thin: `keys` (from the settings), `storage` (reading one tenant's log),
`anchor` (the copies outside of the database). Hashes, notes and the checking of proofs are `auditlog_verify`'s. Positions are given by the sequencer alone.
"""
