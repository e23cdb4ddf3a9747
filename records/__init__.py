"""The books: the only SQL.

Schema, roles, named queries, migrations, the audit chain and the job queue.
This folder knows words (`refunds`) and Postgres; it decides nothing that a rule of `policies` decides.
"""
