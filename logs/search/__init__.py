"""Search: from a question to a page of entries, newest first.

`filters` (query string to tree) -> `tree` (what is asked, as values) -> `sql` (tree to SQL) -> `pages` (a page and the
cursors beside it) -> `output` (rows to JSON). Promises: a principal sees its own tenant only, role User its own entries
only; nothing from people becomes SQL text; a page costs what it shows, not what the log holds.
"""

from logs.search.filters import EntryFilterSet
from logs.search.output import EntryOutput
from logs.search.pages import Page, Question, find_entry, find_page, question_of

__all__ = ["EntryFilterSet", "EntryOutput", "Page", "Question", "find_entry", "find_page", "question_of"]
