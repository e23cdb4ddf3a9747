"""The desk's fixtures, where a page shows what a model did; what they give is in desk_kit."""

from desk_kit import desk_fixture, desk_on_fixture

__all__ = ["desk_fixture", "desk_on_fixture"]
