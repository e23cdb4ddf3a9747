"""The agent: the state machine. It proposes and can do no more.

Its process, its database role and its settings are all called `graph`. It holds no key that signs, no
grant that decides and no library that pays.
"""
