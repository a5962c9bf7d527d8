"""Saved searches: questions that people keep by name, and may share within their tenant.

`finding` (whose, by whom, from the cache) and `changing` (who may; optimistic locks; limits). Promises: a saved question was valid when it was
saved; one that is not shared is seen by its owner alone; running one shows what the runner may see, never what its owner may.
"""

from logs.saved_searches.changing import Changes, change_saved_search, delete_saved_search, save_search
from logs.saved_searches.finding import KeptSearch, SearchPage, find_saved_search, forget, list_saved_searches, question_of_saved

__all__ = [
    "Changes",
    "KeptSearch",
    "SearchPage",
    "change_saved_search",
    "delete_saved_search",
    "find_saved_search",
    "forget",
    "list_saved_searches",
    "question_of_saved",
    "save_search",
]
