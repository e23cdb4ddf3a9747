"""The model behind the gateway: how one is asked, what may be spent on it, and what its answer is worth.

A model gains no authority here: its plan is a request and its text a draft, both checked by code. Nothing in this
folder writes anything but what was asked and what it cost.
"""
