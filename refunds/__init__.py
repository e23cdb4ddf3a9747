"""The words: what a refund is.

Frozen values, closed sets and money. This folder imports nothing of ours and touches nothing: no
database, no clock, no network. Types that enter graph state live here and never move.
"""
