"""The benchmark: the product beside a peer on the same Postgres, as ratios of one run. `make bench` runs it.

It measures and changes nothing: a lever is taken in the product and must pass the laws of crashes first.
"""
