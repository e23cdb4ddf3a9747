"""The rules: what is allowed.

Intake, admission, the action allowlist, the validator of every edge, budgets, refund clauses, authority,
the manifest and the approved policy corpus. Pure: values in, verdicts out; no database, no network, no clock.
"""
