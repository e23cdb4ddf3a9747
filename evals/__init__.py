"""The exam and the benchmark: episodes in, receipts and release decisions out.

It runs the whole house in one process on a database of its own, so it stands on `app`.
"""
