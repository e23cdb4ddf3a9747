"""What a trace keeps of a planner's arguments: JSON, shallow, short, and nothing that the books cannot hold."""

from typing import Any

import pytest

from graph.granting import plain_json

DEPTH = 5
"""Values within one another; what lies deeper is cut."""


def nested(kind: type[Any], depth: int) -> Any:
    value: Any = "leaf"
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(("depth", "kept"), [(DEPTH - 1, True), (DEPTH, False), (200, False)])
def test_a_value_is_kept_to_its_depth_and_cut_below(kind: type[Any], depth: int, kept: bool) -> None:
    shown = plain_json(nested(kind, depth))
    assert ("leaf" in str(shown)) == kept
    assert ("…" in str(shown)) == (not kept)
    assert str(shown).count("[") + str(shown).count("{") <= DEPTH


def test_of_much_the_beginning_is_kept_and_of_what_json_cannot_say_the_type() -> None:
    assert plain_json(list(range(100))) == list(range(32))
    kept = plain_json({str(number): number for number in range(100)})
    assert kept == {str(number): number for number in range(32)}
    assert plain_json("x" * 9_000) == "x" * 8_000
    assert plain_json({"a": {1, 2}, "b": 2**60, "c": 0.5}) == {"a": "<set>", "b": "<int>", "c": "<float>"}
    assert plain_json("nul \x00 half \ud800") == "nul \N{REPLACEMENT CHARACTER} half ?"
