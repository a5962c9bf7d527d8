"""Alert rules: a query and a condition over the entries in the order of their positions; what fires is an alert, an entry and its deliveries."""
