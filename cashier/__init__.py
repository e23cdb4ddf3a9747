"""The cashier: pays what was approved, records it, reconciles it.

Its process, its database role and its settings are all called `cashier`. It holds the public keys of the
desk and signs nothing; it loads no model library; it can order nothing.
"""
