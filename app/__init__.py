"""The assembly: who starts what, on which database, with whose keys; and the demo shop that comes with it.

It may load every room; `evals`, `cli` and `deploy` stand on it.
"""
