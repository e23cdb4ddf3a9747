"""The command line's fixture; what it gives is in house_kit."""

from house_kit import command_line_fixture

__all__ = ["command_line_fixture"]
