"""The API of `archival`: thin views over `archival.holds`."""
