"""The commands: a module a command group. `countersign.py` is the entry point.

Each command loads what it needs when it runs, so that `--help` and a mistyped word answer at once.
"""
