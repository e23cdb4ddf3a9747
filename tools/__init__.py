"""The hands: what the model may do, behind one gateway.

`ls tools/` is the model's job description. Everything here reads and nothing writes: the database role
of the process that loads it may not change an order, a payment or a policy.
"""
