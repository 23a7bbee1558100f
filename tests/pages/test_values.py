"""The tree of a value is bounded, whatever the value is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse.pages.values import (
    CHILD_LIMIT,
    DEPTH_LIMIT,
    ROW_LIMIT,
    TEXT_LIMIT,
    Branch,
    bud,
    shown_json,
    step,
    tree,
    twig,
    whole_json,
    within,
)


def rows(branch: Branch) -> int:
    return 1 + sum(rows(child) for child in branch.children)


def depth(branch: Branch) -> int:
    return 1 + max((depth(child) for child in branch.children), default=0)


def test_numbers_keep_every_digit() -> None:
    assert tree(9007199254740993).text == "9007199254740993"
    assert tree(True).text == "true"
    assert tree(None).text == "null"


def test_a_long_list_says_what_it_leaves_out() -> None:
    branch = tree(list(range(1000)))
    assert len(branch.children) == CHILD_LIMIT
    assert branch.hidden == 1000 - CHILD_LIMIT
    assert branch.text == "1,000 items"


def test_a_long_text_says_how_much_is_missing() -> None:
    assert tree("x" * (TEXT_LIMIT + 7)).text.endswith("(7 more characters)")


def test_a_wide_and_deep_value_stays_small() -> None:
    wide = {f"k{i}": {f"k{j}": list(range(100)) for j in range(100)} for i in range(100)}
    assert rows(tree(wide)) <= ROW_LIMIT + CHILD_LIMIT
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    assert depth(tree(deep)) <= DEPTH_LIMIT + 1


def test_a_text_to_be_edited_is_whole_or_none() -> None:
    assert whole_json({"a": 2**60 + 1}, 100) == '{\n  "a": 1152921504606846977\n}'
    assert whole_json(["x" * 50], 40) is None
    assert whole_json([[]] * 30, 150) is None


def test_of_many_only_the_first_is_open() -> None:
    branch = tree([{"a": n} for n in range(100)])
    assert [child.open for child in branch.children[:3]] == [True, False, False]
    assert all(child.children for child in branch.children)


def test_a_twig_has_no_rows_of_what_is_closed() -> None:
    branch = twig({"many": [{"a": n} for n in range(100)], "few": {"b": [1]}, "none": []})
    many, few, none = branch.children
    assert (many.later, many.children, many.text) == (True, [], "100 items")
    assert (few.later, few.open, few.children[0].later) == (False, True, True)
    assert (none.later, none.children) == (False, [])
    opened = twig([{"a": n} for n in range(100)], depth=1)
    assert opened.open
    assert all(child.later for child in opened.children)
    assert bud({"a": 1}) == Branch("", "obj", "1 field", later=True)


@given(
    st.recursive(
        st.integers(0, 3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    )
)
def test_every_step_is_found_again(value: object) -> None:
    def look(inner: object, path: str, depth: int) -> None:
        assert within(value, path) == (inner, depth)
        if isinstance(inner, dict):
            for key, each in inner.items():
                look(each, step(path, key, "obj"), depth + 1)
        if isinstance(inner, list):
            for index, each in enumerate(inner):
                look(each, step(path, str(index), "arr"), depth + 1)

    look(value, "", 0)


@pytest.mark.parametrize("path", [".b", "[0]", ".a[2]", ".a.b", ".a[0].x", "a", ".a[", '["a', ".a[-1]"])
def test_a_path_to_nothing_is_no_value(path: str) -> None:
    with pytest.raises(LookupError):
        within({"a": [1, 2]}, path)


def test_an_empty_value_is_called_so() -> None:
    assert tree({}).text == "empty"
    assert tree([]).children == []


def test_a_file_is_a_link_to_save_it() -> None:
    value = {"$file": "a" * 64, "name": 'ü "1".pdf', "type": "application/pdf", "size": 1_234_567}
    (branch,) = tree({"f": value}).children
    assert (branch.kind, branch.text) == ("file", "ü 1.pdf · application/pdf · 1.2 MB")
    assert branch.link == f"/files/{'a' * 64}?name=%C3%BC%201.pdf"
    assert tree({"$file": "javascript:alert(1)"}).link == ""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    ),
    st.integers(1, 60),
)
def test_a_values_text_is_its_beginning(value: object, most: int) -> None:
    whole = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    assert shown_json(value, most) == (whole if len(whole) <= most else whole[:most] + "\n…")
