"""What the editor lets be connected, in a workflow far larger than one draws: by its own module, run by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "web" / "static" / "editor" / "rules.js"
MANY = 4_000
SCRIPT = """
const { downstream, refusal } = await import(process.argv[1])
const many = Number(process.argv[2])
const nodes = Array.from({ length: many }, (_, index) => ({ id: `n${index}` }))
const edges = nodes.slice(1).map(({ id }, index) => ({ from: `n${index}`, to: id }))
const board = {
  store: { doc: { nodes, edges } }, titleOf: (id) => id, element: () => ({ querySelector: () => ({}) }),
  boxes: new Map(nodes.map(({ id }) => [id, { loop: '', tray: false }])),
}
const middle = `n${many / 2}`
const fits = nodes.filter(({ id }) => !refusal(board, middle, 'main', id)).map(({ id }) => id)
const why = (id) => refusal(board, middle, 'main', id)
console.log(JSON.stringify({
  first: fits[0], fits: fits.length, behind: downstream(board.store.doc, middle).length,
  circle: why('n0'), itself: why(middle), already: why(`n${many / 2 + 1}`),
}))
"""


def test_what_fits_is_found_in_one_walk_over_the_workflow() -> None:
    node = shutil.which("node")
    assert node is not None
    command = [node, "--input-type=module", "-e", SCRIPT, RULES.as_uri(), str(MANY)]
    # A walk for each node would take many minutes.
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    found = json.loads(said)
    assert found["first"] == f"n{MANY // 2 + 2}"
    assert (found["fits"], found["behind"]) == (MANY // 2 - 2, MANY // 2)
    assert "circle" in found["circle"]
    assert "itself" in found["itself"]
    assert "already" in found["already"]
