"""The log in the Django admin. Each module registers the pages of one room."""

from logs.admin import alerts, deliveries, log

__all__ = ["alerts", "deliveries", "log"]
