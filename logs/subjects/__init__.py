"""Data subjects: the persons whom entries are about, and everything that the log holds on one of them.

`whose` says which entries are a subject's; `page` and `report` make them a file to read and one for machines.
"""

from logs.subjects.whose import MAX_SUBJECT_LENGTH, digest_of, entries_about, is_any_about, is_named_in_log

__all__ = ["MAX_SUBJECT_LENGTH", "digest_of", "entries_about", "is_any_about", "is_named_in_log"]
