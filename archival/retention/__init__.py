"""Retention: which entries leave the hot log, when, and what becomes of them.

`policies` are values and what they match; `comparing` holds one set of them beside another, for what locked policies promise;
`planning` says what is due: all pure. `finding` reads policies, `changing` changes them, `held` says what legal holds keep, `previewing`
counts what a change would do.

Promises: nothing leaves early; what a legal hold keeps is never purged; what a locked policy promises is kept.
"""
