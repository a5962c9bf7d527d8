"""What anybody needs to check the log without its server: for now, the canonical bytes of an entry.

Imports neither Django nor our other packages.
"""

from auditlog_verify.canonical import CanonicalError, NumberOutOfRange, canonical_json, record_of

__all__ = ["CanonicalError", "NumberOutOfRange", "canonical_json", "record_of"]
