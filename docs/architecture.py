"""Draws ``architecture.svg``: ``python docs/architecture.py`` writes it anew.

Boxes and arrows stand in two tables, in pixels from the upper left corner.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

PICTURE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT = 1130, 710
LINE = 18
"""The height of a line of text."""

OUTSIDE, PROCESS, ROOM, STEP = "#e3e7ea", "#f7f8f9", "#ffffff", "#eef3f8"
BLACK, RELAY, CREATE, HOLD = "#546e7a", "#1565c0", "#2e7d32", "#c62828"


class Box(NamedTuple):
    """A rectangle. The first line of ``text`` is its name, the others say what it does."""

    x: int
    y: int
    width: int
    height: int
    fill: str
    text: tuple[str, ...]


class Arrow(NamedTuple):
    """A line through ``points`` to the last of them; its label begins at ``at``."""

    colour: str
    points: tuple[tuple[int, int], ...]
    label: str = ""
    at: tuple[int, int] = (0, 0)
    is_two_way: bool = False


BOXES = (
    Box(150, 10, 830, 690, PROCESS, ("gateway: one process",)),
    Box(10, 50, 110, 210, OUTSIDE, ("Clients",)),
    Box(10, 620, 110, 60, OUTSIDE, ("Operators",)),
    Box(1010, 50, 110, 430, OUTSIDE, ("Orchestrator",)),
    Box(1010, 520, 110, 60, OUTSIDE, ("Redis", "if there is one")),
    Box(170, 50, 130, 210, ROOM, ("downstream", "accepts, reads", "requests, writes", "responses")),
    Box(170, 310, 130, 270, ROOM, ("admission",)),
    Box(185, 350, 100, 80, STEP, ("identity", "of a token, or", "an address")),
    Box(185, 450, 100, 100, STEP, ("limits", "in memory,", "or shared", "in Redis")),
    Box(330, 50, 460, 160, ROOM, ("proxy",)),
    Box(345, 85, 140, 110, STEP, ("pipeline", "the stages of", "one cycle")),
    Box(530, 110, 110, 50, STEP, ("relay", "passes it on")),
    Box(330, 240, 460, 340, ROOM, ("sync",)),
    Box(345, 270, 90, 60, STEP, ("create", "POST, 303")),
    Box(345, 355, 140, 55, STEP, ("hold", "200, 303 or 408")),
    Box(640, 365, 130, 60, STEP, ("jobs", "reads and lists")),
    Box(345, 450, 140, 50, STEP, ("watch", "polls until the end")),
    Box(345, 525, 140, 45, STEP, ("push", "is told of the end")),
    Box(820, 50, 140, 430, ROOM, ("upstream", "keeps connections", "and time limits")),
    Box(
        170,
        610,
        370,
        75,
        ROOM,
        ("ops", "health, metrics, access log:", "read what the others keep"),
    ),
    Box(
        560,
        610,
        400,
        75,
        ROOM,
        ("protocols", "the rules of HTTP and of TheEye:", "pure, used by all"),
    ),
)

ARROWS = (
    Arrow(BLACK, ((120, 150), (170, 150)), is_two_way=True),
    Arrow(BLACK, ((300, 140), (345, 140)), is_two_way=True),
    Arrow(BLACK, ((345, 180), (315, 180), (315, 380), (300, 380)), is_two_way=True),
    Arrow(BLACK, ((120, 650), (170, 650))),
    Arrow(RELAY, ((485, 135), (530, 135))),
    Arrow(RELAY, ((640, 135), (820, 135)), "all other requests", (655, 127)),
    Arrow(RELAY, ((960, 135), (1010, 135)), is_two_way=True),
    Arrow(CREATE, ((390, 195), (390, 270))),
    Arrow(CREATE, ((435, 300), (820, 300)), "a job to be created and waited for", (560, 292)),
    Arrow(CREATE, ((960, 300), (1010, 300)), is_two_way=True),
    Arrow(HOLD, ((460, 195), (460, 355)), "a result is asked for", (470, 345)),
    Arrow(HOLD, ((485, 395), (640, 395)), "with its own token", (500, 387)),
    Arrow(HOLD, ((770, 395), (820, 395))),
    Arrow(HOLD, ((960, 395), (1010, 395)), is_two_way=True),
    Arrow(HOLD, ((415, 410), (415, 450)), is_two_way=True),
    Arrow(HOLD, ((485, 475), (705, 475), (705, 425)), "of many at once", (500, 467)),
    Arrow(HOLD, ((415, 525), (415, 500))),
    Arrow(HOLD, ((1010, 548), (485, 548)), "the end of a job is published", (560, 540)),
)


def drawn_box(box: Box) -> str:
    """A box with its lines of text, centred."""
    lines = [
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"'
        f' fill="{box.fill}" stroke="#90a4ae"/>'
    ]
    for number, text in enumerate(box.text):
        place = f'x="{box.x + box.width // 2}" y="{box.y + 20 + LINE * number}"'
        name = ' font-weight="bold"' if number == 0 else ""
        lines.append(f'<text {place} text-anchor="middle"{name}>{escape(text)}</text>')
    return "\n".join(lines)


def drawn_arrow(arrow: Arrow) -> str:
    """A line with its heads and its label."""
    points = " ".join(f"{x},{y}" for x, y in arrow.points)
    head = f"url(#head{arrow.colour[1:]})"
    start = f' marker-start="{head}"' if arrow.is_two_way else ""
    line = (
        f'<polyline points="{points}" fill="none" stroke="{arrow.colour}" stroke-width="2"'
        f'{start} marker-end="{head}"/>'
    )
    if not arrow.label:
        return line
    x, y = arrow.at
    return f'{line}\n<text x="{x}" y="{y}" fill="{arrow.colour}">{escape(arrow.label)}</text>'


def picture() -> str:
    """The whole picture."""
    heads = [
        f'<marker id="head{colour[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
        ' markerHeight="7" orient="auto-start-reverse">'
        f'<path d="M0,0 L10,5 L0,10 z" fill="{colour}"/></marker>'
        for colour in (BLACK, RELAY, CREATE, HOLD)
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="13" fill="#263238">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        "<defs>",
        *heads,
        "</defs>",
        *map(drawn_box, BOXES),
        *map(drawn_arrow, ARROWS),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
