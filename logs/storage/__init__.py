"""How entries lie in PostgreSQL: columns, partitions and the engines that make them, and the two doors to the table.

Writing: `columns` names what the writer sends. Reading: `reading.tenant_transaction` opens the tenant view for one
tenant; nothing else of the table can be read by the application.
"""
