"""The house on a machine: which processes there are, what each is told, and who holds them together.

It starts and stops; it decides nothing and reads no case.
"""
