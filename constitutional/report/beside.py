"""Names beside the points of a figure, where there is room for them.

Each name takes the nearest place at its point that covers no other name, point or interval, and no line that joins another name to its
own point; one that had to go further away is joined to its point by a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constitutional.numbers import Value
from constitutional.report.figures import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP = 5.0  # points from a mark to its name
_REACH = 24  # heights of a name that one may go up or down
Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True, slots=True)
class Named:
    """A point and its name.

    Attributes:
        name: what stands beside it.
        x: of the point, in the axes' data.
        y: of the point, with its interval if there is one.
        bold: whether its name is.
    """

    name: str
    x: float
    y: Value
    bold: bool = False


def name_points(figure: Figure, axes: Axes, points: Sequence[Named], levels: Sequence[float] = ()) -> None:
    """Write the names of points beside them; the figure must be complete but for them.

    Args:
        figure: it is laid out here, and not again.
        axes: where the points are.
        points: all of them.
        levels: heights, in the axes' data, of horizontal lines that names keep off, too.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # names stand in the axes, and change nothing of the layout
    unit = figure.dpi / 72

    def pixels(x: float, y: float) -> tuple[float, float]:
        across, up = axes.transData.transform((x, y))
        return float(across), float(up)

    spots = [pixels(point.x, point.y.value) for point in points]
    taken: list[Box] = [(x - 5 * unit, y - 5 * unit, x + 5 * unit, y + 5 * unit) for x, y in spots]
    for point in points:
        if point.y.low is not None and point.y.high is not None:
            (x, low), (_, high) = pixels(point.x, point.y.low), pixels(point.x, point.y.high)
            taken.append((x - unit, low, x + unit, high))
    frame = axes.get_window_extent()
    room: Box = (frame.x0, frame.y0, frame.x1, frame.y1)
    for level in levels:
        _, y = pixels(points[0].x, level)
        taken.append((frame.x0, y - unit, frame.x1, y + unit))
    lines: list[Box] = []
    for index in sorted(range(len(points)), key=lambda index: (-spots[index][1], spots[index][0])):
        point, (x, y) = points[index], spots[index]
        text = axes.annotate(
            point.name, (0, 0), xycoords="figure pixels", va="center", size=8,
            fontweight="bold" if point.bold else "normal",
        )  # fmt: skip
        extent = text.get_window_extent()
        width, height = extent.width, extent.height + unit
        place = _place((x, y), (width, height), unit, room, taken, lines)
        left, middle = place[0], (place[1] + place[3]) / 2
        text.xyann = ((left - x) / unit, (middle - y) / unit)
        text.xy = (point.x, point.y.value)
        text.xycoords, text.anncoords = "data", "offset points"
        taken.append(place)
        if abs(middle - y) > height / 2:
            near = (left - unit if left > x else place[2] + unit, middle)
            lines.append((x, y, *near))
            offset = ((near[0] - x) / unit, (near[1] - y) / unit)
            line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 4}
            axes.annotate("", (point.x, point.y.value), offset, "data", "offset points", arrowprops=line)


def _place(
    spot: tuple[float, float],
    size: tuple[float, float],
    unit: float,
    room: Box,
    taken: Sequence[Box],
    lines: Sequence[Box],
) -> Box:
    """The nearest box for a name that covers nothing; that which covers least where there is none."""
    (x, y), (width, height) = spot, size
    best, least = None, math.inf
    for step in range(2 * _REACH + 1):
        up = (step + 1) // 2 * (1 if step % 2 else -1) * height
        far = _GAP * unit + (abs(up) > height / 2) * 2 * _GAP * unit
        for left in (x + far, x - far - width):
            box = (left, y + up - height / 2, left + width, y + up + height / 2)
            if box[0] < room[0] or box[2] > room[2] or box[1] < room[1] or box[3] > room[3]:
                continue
            line = (x, y, left if left > x else left + width, y + up)
            cost = sum(_overlap(box, other) for other in taken)
            cost += height * height * sum(_crosses(box, other) for other in lines)
            if abs(up) > height / 2:
                cost += height * height * sum(_cross(line, other) for other in lines)
            if cost < least:
                best, least = box, cost
        if least == 0:
            break
    return best or (x + _GAP * unit, y - height / 2, x + _GAP * unit + width, y + height / 2)


def _overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    across, up = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return across * up if across > 0 and up > 0 else 0.0


def _cross(one: Box, other: Box) -> bool:
    """Whether two lines cross, other than where both begin."""
    if one[:2] == other[:2]:
        return False
    return (
        _turn(one, other[:2]) * _turn(one, other[2:]) < 0
        and _turn(other, one[:2]) * _turn(other, one[2:]) < 0
    )


def _turn(line: Box, point: tuple[float, ...]) -> float:
    return (line[2] - line[0]) * (point[1] - line[1]) - (line[3] - line[1]) * (point[0] - line[0])


def _crosses(box: Box, line: Box) -> bool:
    """Whether a line runs through a box."""
    left, bottom, right, top = box
    return _cross((left, bottom, right, top), line) or _cross((left, top, right, bottom), line)
