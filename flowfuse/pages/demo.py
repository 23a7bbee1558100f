"""/demo/…: what the demo workflows call. It is made up on the spot, and needs no network."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.clock import Clock
from flowfuse.errors import NotFound
from flowfuse.pages.api.body import answer
from flowfuse.pages.guards import PUBLIC

MINUTE_US = 60_000_000
NEWS = 10
_SKUS = ("tea", "kettle", "cup", "filter", "honey", "spoon")
_TOWNS = ("Ghent", "Porto", "Graz", "Turku", "Lille", "Brno")
REFUSED = 4
"""The order that the shipping desk refuses, whoever asks."""


def order(number: int) -> dict[str, Any]:
    """An order of the demo shop."""
    return {
        "id": number,
        "sku": _SKUS[number % len(_SKUS)],
        "count": number % 3 + 1,
        "price": round(2.5 + number * 3.75 % 40, 2),
        "town": _TOWNS[number % len(_TOWNS)],
    }


@get("/demo/orders", opt=PUBLIC)
async def demo_orders() -> Response[bytes]:
    """The orders of the demo shop."""
    return answer([order(number) for number in range(1, 9)])


@get("/demo/shipping/{number:int}", opt=PUBLIC)
async def demo_shipping(number: FromPath[int]) -> Response[bytes]:
    """A label for an order; the desk refuses one of them."""
    if not 0 < number < 9:
        raise NotFound(what="demo order", id=str(number))
    if number == REFUSED:
        return answer({"error": "The street has 44 characters, 35 are taken."}, 422)
    return answer({"order": number, "label": f"LBL-{number:04}"})


@get("/demo/news", opt=PUBLIC)
async def demo_news(clock: NamedDependency[Clock]) -> Response[bytes]:
    """The last ten notices; there is a new one each minute."""
    now = clock.now_us() // MINUTE_US
    return answer([{"id": n, "title": f"Notice {n}"} for n in range(now, now - NEWS, -1)])


@get("/demo/orders.csv", opt=PUBLIC)
async def demo_csv() -> Response[bytes]:
    """The orders as a file."""
    rows = [order(number) for number in range(1, 9)]
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    return Response(
        "\r\n".join(lines).encode(),
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="orders.csv"'},
    )
