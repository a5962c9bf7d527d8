"""Data subjects: the persons whom entries are about, and everything that the log holds on one of them.

`whose` says which entries are a subject's, and how the log calls them; `page` makes entries a page to read and `archive` packs it with others,
both pure. `export.subject_report` puts them together.
"""

from logs.subjects.whose import (
    MAX_SUBJECT_LENGTH,
    digest_of,
    entries_about,
    is_any_about,
    is_named_in_log,
    meaning_pseudonyms,
    name_in_log,
    pseudonyms_of,
)

__all__ = [
    "MAX_SUBJECT_LENGTH",
    "digest_of",
    "entries_about",
    "is_any_about",
    "is_named_in_log",
    "meaning_pseudonyms",
    "name_in_log",
    "pseudonyms_of",
]
