"""The pages: what people see and press. Each renders what a use case of the desk says, and decides nothing itself.

Rendered on the server; no script but the files beside it, no request to another host, and every text of a customer, an
order or a model is data.
"""
