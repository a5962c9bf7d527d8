"""Erasure: a data subject's key is destroyed, and what was encrypted with it is unreadable everywhere; every proof stays.

`erasing` decides, carries out and resumes; `keys` finds and destroys data keys; `ledger` keeps what was erased out of the database's
reach; `copies` removes exports that hold the subject; `reapplying` destroys again what a restored backup brought back.

Promises: no key is destroyed whose erasure is not recorded in the tenant's log and named in the ledger; an erasure that was begun is
finished, whatever dies; what a legal hold keeps is not erased.
"""

from logs.erasure.erasing import NewErasure, carry_on, erase, unfinished

__all__ = ["NewErasure", "carry_on", "erase", "unfinished"]
