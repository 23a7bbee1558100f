"""Every function's example, and every function in every documented place."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.expression import Function, library
from flowfuse.expression.docs import page

CONTRACT = """
len sum min max round abs sorted reversed range any all unique flatten zip keys values items get pick omit
merge_dicts group_by count_by sort_by first last chunk join str int float bool upper lower title strip split
replace startswith endswith contains slug truncate pad match find_all format json_encode json_decode
base64_encode base64_decode url_encode url_decode query_encode sha256 md5 hmac_sha256 uuid random_int
now today date format_date add_time diff_time to_timezone start_of type is_empty default coalesce
"""


@pytest.mark.parametrize("function", library(), ids=lambda function: function.name)
def test_the_example_gives_its_result(evaluate: Any, function: Function) -> None:
    result = evaluate(function.example)
    assert result == function.result
    assert type(result) is type(function.result)
    assert evaluate(f"[{function.example} for x in [1]]") == [result]


@pytest.mark.parametrize("function", library(), ids=lambda function: function.name)
def test_functions_are_described(function: Function) -> None:
    assert function.summary.endswith(".")
    assert function.signature.startswith(f"{function.name}(")
    assert f"{function.name}(" in function.example or f".{function.name}(" in function.example
    assert f"`{function.signature}`" in page()


def test_the_library_has_what_the_contract_names() -> None:
    names = [function.name for function in library()]
    assert set(CONTRACT.split()) <= set(names)
    assert len(names) == len(set(names))
