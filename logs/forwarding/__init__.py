"""Forwarding: the entries of a tenant, in the order of positions, at least once, to a SIEM or an object storage, from a durable cursor."""
