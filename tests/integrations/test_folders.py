"""The folder guard: where paths lead, what is never reached, and files that are written whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowfuse.errors import NodeFailed, PathDenied, RequestInvalid
from flowfuse.integrations.folders import FolderGuard, check_folders


@pytest.fixture
def guard(tmp_path: Path) -> FolderGuard:
    for name in ("allowed/below", "outside", "own"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "outside" / "secret").write_text("s")
    (tmp_path / "own" / "key").write_text("k")
    (tmp_path / "allowed" / "here").write_text("h")
    (tmp_path / "allowed" / "link").symlink_to(tmp_path / "outside")
    made = FolderGuard(tmp_path / "own")
    made.allow([str(tmp_path / "allowed")])
    return made


def read(guard: FolderGuard, path: object, *, operator: bool = False) -> bytes:
    with guard.reading(str(path), operator=operator) as file:
        return file.read()


def write(guard: FolderGuard, path: object, data: bytes, *, replace: bool = True) -> None:
    with guard.writing(str(path), operator=False, replace=replace) as file:
        file.write(data)


@pytest.mark.parametrize(
    "path",
    [
        "outside/secret",
        "allowed/../outside/secret",
        "allowed/link/secret",
        "allowed2/x",
        "own/key",
        "allowed/a\0b",
    ],
)
def test_what_leads_elsewhere_is_refused(guard: FolderGuard, tmp_path: Path, path: str) -> None:
    (tmp_path / "allowed2").mkdir()
    for act in (lambda: read(guard, f"{tmp_path}/{path}"), lambda: write(guard, f"{tmp_path}/{path}", b"x")):
        with pytest.raises(PathDenied):
            act()
    assert (tmp_path / "outside" / "secret").read_text() == "s"


def test_a_path_from_nowhere_is_refused(
    guard: FolderGuard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path / "allowed")
    for path in ("here", "", "./here"):
        with pytest.raises(PathDenied, match="root"):
            read(guard, path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells what a handle leads to")
def test_a_link_that_is_put_in_the_way_after_the_judgement_is_noticed(
    guard: FolderGuard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "allowed" / "below"
    (place / "secret").write_text("harmless")
    judge = guard.judge

    def judge_then_swap(path: str, *, operator: bool) -> Path:
        found = judge(path, operator=operator)
        place.rename(tmp_path / "moved")
        place.symlink_to(tmp_path / "outside")
        return found

    monkeypatch.setattr(guard, "judge", judge_then_swap)
    with pytest.raises(PathDenied, match="elsewhere"):
        read(guard, place / "secret")
    place.unlink()
    (tmp_path / "moved").rename(place)
    with pytest.raises(PathDenied, match="elsewhere"):
        write(guard, place / "new", b"x")
    assert sorted(each.name for each in (tmp_path / "outside").iterdir()) == ["secret"]


def test_an_operator_reaches_all_but_our_own_folder(guard: FolderGuard, tmp_path: Path) -> None:
    assert read(guard, tmp_path / "outside" / "secret", operator=True) == b"s"
    with pytest.raises(PathDenied, match="own data folder"):
        read(guard, tmp_path / "own" / "key", operator=True)
    guard.allow([str(tmp_path)])
    with pytest.raises(PathDenied, match="own data folder"):
        read(guard, tmp_path / "own" / "key")


def test_nothing_is_allowed_until_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PathDenied, match="Settings"):
        read(FolderGuard(), tmp_path / "file")


def test_what_is_no_file_is_not_read(guard: FolderGuard, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "allowed" / "pipe")
    for name in ("pipe", "below", "nothing"):
        with pytest.raises(NodeFailed, match=name):
            read(guard, tmp_path / "allowed" / name)


def test_a_file_is_written_whole_or_not_at_all(guard: FolderGuard, tmp_path: Path) -> None:
    place = tmp_path / "allowed" / "below" / "out"
    write(guard, place, b"first")
    with pytest.raises(ZeroDivisionError), guard.writing(str(place), operator=False, replace=True) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert place.read_bytes() == b"first"
    write(guard, place, b"second")
    with pytest.raises(NodeFailed, match="exists"):
        write(guard, place, b"third", replace=False)
    write(guard, place, b"second", replace=False)  # an attempt before a crash may have written it
    assert place.read_bytes() == b"second"
    with pytest.raises(NodeFailed, match="below"):
        write(guard, tmp_path / "allowed" / "below", b"x")
    with pytest.raises(NodeFailed, match="no such"):
        write(guard, tmp_path / "allowed" / "missing" / "x", b"x")
    assert [each.name for each in place.parent.iterdir()] == ["out"]


def test_only_folders_can_be_allowed(tmp_path: Path) -> None:
    check_folders([str(tmp_path)])
    for wrong in ("relative", str(tmp_path / "missing"), __file__, "", "a\0"):
        with pytest.raises(RequestInvalid, match="no folder"):
            check_folders([wrong])
