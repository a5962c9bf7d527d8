"""The log in the Django admin. Each module registers the pages of one room."""

from logs.admin import alerts, deliveries, forwarders, log

__all__ = ["alerts", "deliveries", "forwarders", "log"]
