"""The desk's fixtures; what they give is in desk_kit."""

from desk_kit import desk_fixture, desk_on_fixture

__all__ = ["desk_fixture", "desk_on_fixture"]
