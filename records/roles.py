"""The roles that log in, and how each reaches the books."""

from typing import Literal, get_args
from urllib.parse import quote, urlsplit, urlunsplit

LoginRole = Literal["desk", "graph", "cashier", "anchorer"]
LOGIN_ROLES: tuple[LoginRole, ...] = get_args(LoginRole)
RolePasswords = dict[LoginRole, str]


def url_as(admin_url: str, role: LoginRole, password: str) -> str:
    """The address of a database for another role."""
    parts = urlsplit(admin_url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(
        (parts.scheme, f"{role}:{quote(password, safe='')}@{host}{port}", parts.path, parts.query, "")
    )
