"""A line chart as a small SVG: figures over sizes that grow by factors, with the interval of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

Point = tuple[float, float, float, float]  # size, figure, lower and upper end of its interval

WIDTH, HEIGHT = 640, 320  # all lengths in px
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 44, 44
COLOURS: Final = ("#1b6ca8", "#b5541c", "#3b7d3b", "#7a4a9c")
LINES: Final = 5  # of the grid
STYLE: Final = "font:12px sans-serif;fill:#222"


def steps(highest: float) -> list[float]:
    """Round figures from 0 to at least `highest`, one for each line of the grid.

    >>> steps(93.0), steps(0.7)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [0.0, 0.2, 0.4, 0.6, 0.8])
    """
    rough = max(highest, 1e-9) / LINES
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [round(step * number, 12) for number in range(math.ceil(highest / step - 1e-9) + 1)]


def size_text(size: float) -> str:
    """Write a size shortly.

    >>> size_text(10), size_text(30_000), size_text(1_000_000)
    ('10', '30k', '1M')
    """
    for unit, word in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:g}{word}"
    return f"{size:g}"


def draw(title: str, across: str, up: str, series: Mapping[str, Sequence[Point]]) -> str:
    """The SVG of some named series; `across` names the sizes, `up` the figures with their unit."""
    points = [point for one in series.values() for point in one]
    sizes = sorted({point[0] for point in points})
    marks = steps(max(point[3] for point in points))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: float) -> float:
        share = (math.log10(size) - first) / (last - first) if last > first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(figure: float) -> float:
        return round(HEIGHT - BOTTOM - figure / marks[-1] * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(LEFT, 18, title, "start", "font:bold 14px sans-serif;fill:#222"),
        _text(LEFT, 36, up, "start"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across, "middle"),
    ]
    for mark in marks:
        parts.append(f'<path d="M{LEFT} {y(mark)}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y(mark) + 4, f"{mark:g}", "end"))
    parts += [_text(x(size), HEIGHT - BOTTOM + 18, size_text(size), "middle") for size in sizes]
    for number, (name, one) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        way = " ".join(f"{x(size)},{y(figure)}" for size, figure, _, _ in one)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for size, figure, low, high in one:
            parts.append(f'<path d="M{x(size)} {y(low)}V{y(high)}" stroke="{colour}" stroke-width="1"/>')
            parts.append(f'<circle cx="{x(size)}" cy="{y(figure)}" r="3.5" fill="{colour}"/>')
        if len(series) > 1:
            parts.append(
                _text(WIDTH - RIGHT - 130 * (len(series) - number), 36, name, "start", f"{STYLE};fill:{colour}")
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, style: str = STYLE) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'
