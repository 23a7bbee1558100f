"""The canvas under a hand: frames and main-thread work of drag, pan, zoom and marquee, beside React Flow.

Pan, zoom, marquee and the drag of what it has chosen (`drag_all`) are with everything in view; `drag` is of
one card so near that it can be read, `drag_near` there of all that is chosen. The same graph, the same
gestures by real mouse events in the same headless Chromium. React Flow is fetched from npm into
bench/react_flow/node_modules on the first call; nothing of it is part of the product.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REACT_FLOW = HERE / "react_flow"
FLAGS = ["--no-sandbox", "--disable-gpu"]
STEPS = 80
RECORD = """() => {
  window.frames_ = []; let last
  const tick = (now) => {
    if (last) frames_.push(now - last)
    last = now
    window.ticking = requestAnimationFrame(tick)
  }
  window.ticking = requestAnimationFrame(tick)
}"""
Emit = Callable[[str, float, str, float | None], None]


def graph(size: int) -> dict[str, Any]:
    """A layered graph of that many nodes, 1.3 edges each, placed on a grid."""
    chance = random.Random(1)
    columns = max(1, int(size**0.5 * 1.4))
    rows = size // columns + 1
    nodes: list[dict[str, Any]] = [{"id": "n0", "type": "trigger.manual", "position": {"x": 0, "y": 0}}]
    edges: list[dict[str, str]] = []
    for index in range(1, size):
        place = {"x": 280 * (index // rows), "y": 110 * (index % rows)}
        config = {"message": "hello {{ input }}"}
        node = {"id": f"n{index}", "type": "action.log", "name": f"Step {index}", "config": config}
        nodes.append({**node, "position": place})
        for _ in range(2 if chance.random() < 0.3 else 1):
            edge = {"from": f"n{chance.randrange(max(0, index - 2 * rows), index)}", "to": f"n{index}"}
            if edge not in edges:
                edges.append(edge)
    return {"id": f"graph{size}", "name": f"{size} nodes", "nodes": nodes, "edges": edges}


class Hand:
    """Gestures on a page, each with its median frame (ms) and main-thread work a frame (ms)."""

    def __init__(self, page: Any, card: str, chosen: str, unzoom: bool) -> None:
        self.page, self.card, self.chosen, self.unzoom = page, card, chosen, unzoom
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("Performance.enable")

    def figures(self) -> dict[str, tuple[float, float]]:
        """All gestures, the first of them with everything in view."""
        found = {"pan": self._measured(self._pan), "zoom": self._measured(self._zoom)}
        found["marquee"] = self._measured(self._marquee)
        found["drag_all"] = self._measured(self._drag_chosen)
        self._approach()
        # The first drag also opens the card's form, or whatever else comes with choosing it.
        self._drag()
        self.page.wait_for_timeout(800)
        found["drag_near"] = self._measured(self._drag)
        self.page.keyboard.press("Escape")
        self._drag()
        self.page.wait_for_timeout(800)
        found["drag"] = self._measured(self._drag)
        return found

    def _measured(self, gesture: Callable[[], None]) -> tuple[float, float]:
        self.page.evaluate(RECORD)
        before = self._work()
        gesture()
        work = self._work() - before
        frames = self.page.evaluate("(cancelAnimationFrame(ticking), frames_)")
        return statistics.median(frames), work * 1000 / max(1, len(frames))

    def _work(self) -> float:
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")

    def _pan(self) -> None:
        mouse = self.page.mouse
        mouse.move(720, 850) if self.unzoom else mouse.move(720, 400)
        mouse.down()
        for step in range(STEPS):
            mouse.move(720 + step % 40 * 4, (850 if self.unzoom else 400) - step % 30 * 2)
        mouse.up()

    def _zoom(self) -> None:
        for step in range(STEPS):
            self.page.mouse.move(700 + step % 2, 300)
            self.page.mouse.wheel(0, -60 if step < STEPS / 2 else 60)

    def _marquee(self) -> None:
        keys, mouse = self.page.keyboard, self.page.mouse
        keys.down("Shift")
        mouse.move(70, 130)
        mouse.down()
        for step in range(STEPS):
            mouse.move(70 + step * 12, 130 + step * 3)
        mouse.up()
        keys.up("Shift")

    def _approach(self) -> None:
        """Come so near that cards have their words."""
        for _ in range(30):
            place = self._card_at()
            if place is not None and place[2] > 120:
                break
            self.page.mouse.move(700, 300)
            self.page.mouse.wheel(0, -120)
        self.page.wait_for_timeout(500)

    def _drag_chosen(self) -> None:
        """Drag all that is chosen by one of its cards, also where cards are only drawn."""
        place = self.page.evaluate(
            """(name) => {
              const card = document.querySelector(name)
              if (card?.getBoundingClientRect().width) {
                const r = card.getBoundingClientRect()
                return [r.x + r.width / 2, r.y + r.height / 2]
              }
              const { x, y } = document.querySelector('#canvas').getBoundingClientRect()
              const at = new DOMMatrix(getComputedStyle(document.querySelector('.world')).transform)
              const own = new DOMMatrix(document.querySelector('#cards .is-selected').style.transform)
              const point = at.transformPoint(new DOMPoint(own.e + 92, own.f + 34))
              return [x + point.x, y + point.y] }""",
            self.chosen,
        )
        self._move(place)

    def _drag(self) -> None:
        place = self._card_at()
        if place is not None:
            self._move(place)

    def _move(self, place: list[float]) -> None:
        mouse = self.page.mouse
        mouse.move(place[0], place[1])
        mouse.down()
        for step in range(STEPS):
            mouse.move(place[0] + step * 2, place[1] + step % 40)
        mouse.up()

    def _card_at(self) -> list[float] | None:
        found: list[float] | None = self.page.evaluate(
            """([name, bottom]) => { for (const card of document.querySelectorAll(name)) {
              const r = card.getBoundingClientRect()
              if (r.width && r.x > 150 && r.right < 1200 && r.y > 120 && r.bottom < bottom)
                return [r.x + r.width / 3, r.y + r.height / 2, r.width] } return null }""",
            [self.card, 850 if self.unzoom else 420],
        )
        return found


def measure(emit: Emit, sizes: tuple[int, ...] = (500, 2000)) -> None:
    """Print the figures of both, one after the other."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT))
    from tests.support.local import LocalServer

    with sync_playwright() as playwright, _folder() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        server = LocalServer(folder / "data").start()
        try:
            for size in sizes:
                document = graph(size)
                assert server.api("POST", "/workflows", document).status == 201
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.goto(server.base + server.api("POST", "/links", {}).json["path"])
                address = f"{server.base}/workflows/{document['id']}"
                _one(
                    emit,
                    f"canvas {size}",
                    page,
                    address,
                    Hand(page, "#cards .node-card", "#cards .is-selected .node-card", False),
                    size,
                )
                with _react_flow(document) as other:
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    _one(
                        emit,
                        f"react flow {size}",
                        page,
                        other,
                        Hand(page, ".react-flow__node", ".react-flow__node.selected", True),
                        None,
                    )
        finally:
            server.stop()
            browser.close()


def _one(emit: Emit, name: str, page: Any, address: str, hand: Hand, size: int | None) -> None:
    goals = {"ready": None, "frame": None, "work": None}
    if size is not None:
        goals = {
            "ready": 1000.0 if size <= 500 else 2000.0,
            "frame": 17.0,
            "work": 8.0 if size <= 500 else None,
        }
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    emit(f"{name} ready", page.evaluate("performance.now()"), "ms", goals["ready"])
    for gesture, (frame, work) in hand.figures().items():
        emit(f"{name} {gesture} frame", frame, "ms", goals["frame"])
        emit(f"{name} {gesture} work", work, "ms a frame", None if gesture == "drag_near" else goals["work"])
    page.close()


@contextmanager
def _folder() -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def _react_flow(document: dict[str, Any]) -> Iterator[str]:
    """A server of the comparison's page with this graph."""
    built = _built()
    (built / "graph.json").write_text(json.dumps({"nodes": document["nodes"], "edges": document["edges"]}))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
    server.shutdown()


def _built() -> Path:
    """The page, bundled; its libraries are fetched when they are missing."""
    sys.path.insert(0, str(ROOT))
    import hatch_build

    built = REACT_FLOW / "dist"
    if not (REACT_FLOW / "node_modules").is_dir():
        hatch_build.run_npm(REACT_FLOW, "install", "--ignore-scripts", "--no-package-lock")
    if not (built / "main.js").is_file():
        bundler = REACT_FLOW / "node_modules" / "esbuild" / "bin" / "esbuild"
        arguments = ["main.jsx", "--bundle", "--minify", "--format=esm", "--jsx=automatic", "--outdir=dist",
                     "--define:process.env.NODE_ENV=\"production\""]  # fmt: skip
        subprocess.run([bundler, *arguments], cwd=REACT_FLOW, check=True, capture_output=True)
        shutil.copy(REACT_FLOW / "index.html", built / "index.html")
    return built


if __name__ == "__main__":
    started = time.perf_counter()
    measure(lambda name, value, unit, goal: print(name, round(value, 1), unit, goal))
    print(f"{time.perf_counter() - started:.0f} s")
