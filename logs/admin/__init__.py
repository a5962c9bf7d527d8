"""The log in the Django admin. Each module registers the pages of one room."""

from logs.admin import log

__all__ = ["log"]
