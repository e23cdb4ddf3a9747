"""The exam: episodes go in, graded rows and receipts come out.

An episode runs the real graph, gateway, books and cashier on a database of its own; its row is made from the books and
from the provider's list, never from what an agent says. Nothing here decides what a release may do: the gate does.
"""
