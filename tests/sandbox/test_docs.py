"""docs/code.md says what the dialect has: it is what the generator writes, and every line of it is tried."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowfuse.errors import CodeError
from flowfuse.sandbox.docs import HAS, HAS_NOT, NATIVE, members, page
from flowfuse.sandbox.modules import MODULES
from flowfuse.sandbox.runner import CodeRunner

PAGE = Path(__file__).resolve().parents[2] / "docs" / "code.md"


@pytest.fixture
async def runner() -> AsyncIterator[CodeRunner]:
    made = CodeRunner()
    yield made
    await made.close()


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == page(), "run: python -m flowfuse.sandbox.docs > docs/code.md"


async def test_what_it_has_runs(runner: CodeRunner) -> None:
    for _, source in HAS:
        await runner.run(source, {})


async def test_what_it_has_not_does_not_run(runner: CodeRunner) -> None:
    for what, source in HAS_NOT:
        with pytest.raises(CodeError):
            print(what, await runner.run(source, {}))


async def test_every_module_can_be_imported(runner: CodeRunner) -> None:
    for name in (*NATIVE, *MODULES):
        assert (await runner.run(f"import {name}\n1", {})).value == 1


async def test_every_member_that_is_named_is_there(runner: CodeRunner) -> None:
    for name, found in members().items():
        await runner.run(f"from {name} import {', '.join(found)}\n1", {})
