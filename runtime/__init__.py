"""The process: its home, its embedded Postgres, its logs, its start-up checks, its jobs, and the loop of the anchorer.

What every process of the house has in common and what is no rule, no query and no decision.
"""
