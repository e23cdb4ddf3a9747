"""The server API: what `langgraph dev` mounts, behind an allowlist of routes.

The only part that loads langgraph-api. It signs nothing, decides nothing and pays nothing: an answer becomes a
decision at the desk first.
"""
