"""A secret is taken out of bytes however they are cut into pieces."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from flowfuse.integrations.credential import OpenCredential, Redactor

CREDENTIAL = OpenCredential(name="c", kind="bearer", data={"token": "s3cret-token"}, hosts=())


@given(
    st.lists(
        st.sampled_from(
            [b"s3cret-token", b"s3cret-", b"token", b"s3", b"x", b"czNjcmV0LXRva2Vu", b"\xff\x00"]
        )
    ),
    st.lists(st.integers(0, 80)),
)
def test_pieces_make_no_difference(words: list[bytes], cuts: list[int]) -> None:
    whole = b"-".join(words)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    redactor = Redactor(CREDENTIAL)
    got = b"".join(redactor.feed(whole[a:b]) for a, b in itertools.pairwise(places)) + redactor.end()
    assert b"s3cret-token" not in got
    assert b"czNjcmV0LXRva2Vu" not in got
    assert got == whole.replace(b"s3cret-token", b"***").replace(b"czNjcmV0LXRva2Vu", b"***")
