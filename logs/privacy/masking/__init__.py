"""Masking: secrets don't get into the log. Pure but for `tenants`, which looks a tenant's rules up."""
