"""Deliveries: a notice on its way to a webhook, a chat or a mailbox, tried until it arrives or is given up, every attempt on record."""
