"""The exam: episodes in, receipts and release decisions out.

It may load every room, because it runs the whole house in one process on a database of its own; nothing
but the front door may load it.
"""
