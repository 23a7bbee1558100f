"""The tree of a value is bounded, whatever the value is."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flowfuse.pages.editor import shown_json
from flowfuse.pages.values import CHILD_LIMIT, DEPTH_LIMIT, ROW_LIMIT, TEXT_LIMIT, Branch, tree


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
