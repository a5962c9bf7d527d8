"""The API of `archival`: thin views over `archival.holds`, `archival.retention`, `archival.dual_control` and `archival.cleanups`."""
