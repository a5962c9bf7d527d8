"""The peer: the audit log that most people would write with Django REST framework in an afternoon.

A managed model with the product's columns (but for those that integrity adds) and as many indexes, a `ModelSerializer`,
a `CreateAPIView`, token authentication, `startproject`'s middleware, persistent database connections. It lives in a
schema of its own in the product's database, and its ids are UUIDv7 made by PostgreSQL, the fastest choice there is.

`prepare` makes its tables and a token; `serving` runs it under granian's WSGI interface. It is a project of its own:
nothing of it imports the product, and only `serving` imports the other benchmarks.
"""
