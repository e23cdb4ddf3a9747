"""The people: intake and decisions.

Its process, its database role and its settings are all called `desk`. It signs what people decide, and
orders no money: the order is made by the graph and paid by the cashier.
"""
