"""JSON Schemas that nobody needs are refused by their size, in words that say what is too much."""

from typing import Any

import pytest

from commun.api.schema_bounds import (
    MAX_BRANCHES,
    MAX_BYTES,
    MAX_COUNT,
    MAX_DEPTH,
    MAX_ENUM,
    MAX_NODES,
    MAX_PATTERN_LETTERS,
    MAX_PATTERN_PLACES,
    SchemaTooLarge,
    check_bounds,
    places_of,
)

ENDLESS = "^(([a-z]{1,1000}){1,1000}){1,1000}$"


def nested(levels: int) -> Any:
    return {"not": nested(levels - 1)} if levels > 1 else "x"


def of(keyword: str, value: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {keyword: value}}}


@pytest.mark.parametrize(
    ("allowed", "refused", "reason", "limit"),
    [
        ({"a": "x" * (MAX_BYTES - 9)}, {"a": "x" * (MAX_BYTES - 8)}, "bytes", MAX_BYTES),
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1), "levels", MAX_DEPTH),
        ({"default": [1] * (MAX_NODES - 2)}, {"default": [1] * (MAX_NODES - 1)}, "in all", MAX_NODES),
        (of("enum", [1] * MAX_ENUM), of("enum", [1] * (MAX_ENUM + 1)), "enum", MAX_ENUM),
        (of("anyOf", [{}] * MAX_BRANCHES), of("anyOf", [{}] * (MAX_BRANCHES + 1)), "branches", MAX_BRANCHES),
        (of("oneOf", [{}] * MAX_BRANCHES), of("oneOf", [{}] * (MAX_BRANCHES + 1)), "branches", MAX_BRANCHES),
        (of("maxLength", MAX_COUNT), of("maxLength", MAX_COUNT + 1), "number", MAX_COUNT),
        (of("minItems", MAX_COUNT), of("minItems", 1e300), "number", MAX_COUNT),
        (of("pattern", "x" * MAX_PATTERN_LETTERS), of("pattern", "x" * 1001), "letters of", MAX_PATTERN_LETTERS),
        (of("pattern", "(x{100}){100}"), of("pattern", "(x{100}){101}"), "places", MAX_PATTERN_PLACES),
        (of("patternProperties", {"x": {}}), of("patternProperties", {ENDLESS: {}}), "places", MAX_PATTERN_PLACES),
    ],
)
def test_each_bound_is_where_it_is_said_to_be(
    allowed: dict[str, Any], refused: dict[str, Any], reason: str, limit: int
) -> None:
    check_bounds(allowed)
    with pytest.raises(SchemaTooLarge) as error:
        check_bounds(refused)
    assert reason in str(error.value.details["reason"])
    assert error.value.details["limit"] == limit


def test_what_only_bears_the_name_of_a_bound_is_not_counted() -> None:
    names = ("enum", "anyOf", "maxLength", "pattern", "patternProperties")
    check_bounds({"properties": {name: {"type": "string"} for name in names}})


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        ("", 0),
        ("abc", 3),
        ("^[a-z\\]x]{3}$", 3),
        ("[]a]\\{4}", 2 + 2),
        ("a{2}b{3,5}c{4,}d{,9}", 2 + 5 + 4 + 5),
        ("(ab){3}c", 7),
        ("((a{10}){10}){10}", 1000),
        ("a{2}{3}", 6),
        ("(a|bc)*d?", 4),
        ("((a{5}", 5),
        ("a)b{3}", 5),
        (ENDLESS, 10**9),
    ],
)
def test_repetitions_are_written_out(pattern: str, places: int) -> None:
    assert places_of(pattern) == places
