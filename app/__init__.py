"""The assembly: who starts what, on which database, with whose keys; and the demo shop that comes with it.

It may load everything below it; `evals`, `cli` and `deploy` stand on it.
"""
