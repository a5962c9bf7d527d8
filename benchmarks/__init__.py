"""Benchmarks: the product over HTTP, and in the same run what it is held against.

Each one starts servers of its own in a temporary folder, loads the product through its public API, and measures in
turn the limit (what PostgreSQL alone does with the same rows) and the peer (what a stock Django REST framework view
does with them). Promises: rows are made from a seed; every acknowledged entry is counted in the table at the end, and a
single error or lost entry fails the run; nothing is left running. Ratios are what counts, for figures move with the machine.

`python -m benchmarks NAME [--quick] [--output FILE]`. A benchmark is a module with `run(scale) -> Report`; `__main__`
lists them. The rooms: `rows` and `cloudtrail` (entries), `load` (the client), `product` (servers, migrated database,
web processes), `limits` and `stock_peer` (what it is held against), `report` (figures, table, JSON).
"""
