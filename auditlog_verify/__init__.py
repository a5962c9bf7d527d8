"""What anybody needs to check the log without its server: canonical bytes, the Merkle tree, signed notes, proofs, evidence bundles.

Needs `cryptography` and `msgspec`, neither Django nor our other packages. `python -m auditlog_verify BUNDLE` checks a bundle.
"""

from auditlog_verify.bundle import BundleError, Verdict, check_bundle
from auditlog_verify.canonical import CanonicalError, NumberOutOfRange, canonical_json, record_of
from auditlog_verify.merkle import ProofError, check_consistency, check_inclusion, leaf_hash
from auditlog_verify.notes import Checkpoint, NoteError, VerifierKey, open_checkpoint
from auditlog_verify.proofs import InclusionProof

__all__ = [
    "BundleError",
    "CanonicalError",
    "Checkpoint",
    "InclusionProof",
    "NoteError",
    "NumberOutOfRange",
    "ProofError",
    "Verdict",
    "VerifierKey",
    "canonical_json",
    "check_bundle",
    "check_consistency",
    "check_inclusion",
    "leaf_hash",
    "open_checkpoint",
    "record_of",
]
