"""The log in the Django admin. Each module registers the pages of one room."""

from logs.admin import alerts, log

__all__ = ["alerts", "log"]
