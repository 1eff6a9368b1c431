"""The style that all figures share, and saving them: the same figure gives the same bytes, in every file format.

Colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart; what they separate differs in
lightness, shape or hatching too, so that it survives a printer without colours. Nothing of the user's own matplotlib
configuration is used. Figures are made without pyplot, so there is no window, no global list of figures, no display.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitutional.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, PALE = "#222222", "#767676", "#d9d9d9"
BLUE, ORANGE, GREEN, SKY, VERMILION, PURPLE, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7", "#F0E442",
)  # fmt: skip
FORMATS = ("png", "svg")
_RESOLUTION = 150  # dots per inch
_TITLE_LETTERS, _CAPTION_LETTERS = 9.6, 16.0  # that fit into an inch
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same on every machine
    "font.size": 9,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "hatch.color": "white",
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "constitutional",
    "text.color": INK,
    "text.parse_math": False,  # a `$` in a text is a `$`
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 9,
    "ytick.major.size": 0,
}


@contextmanager
def style() -> Iterator[None]:
    """Within it, matplotlib draws in our style, and leaves again as it was."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; what is put into it is laid out so that nothing overlaps.

    Args:
        width: in inches.
        height: in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.07, wspace=0.03)
    FigureCanvasAgg(figure)
    return figure


def describe(figure: Figure, title: str, caption: str) -> None:
    """Give a figure its title and caption, wrapped to its width.

    Args:
        figure: the figure.
        title: what it shows or asks, as a sentence.
        caption: what the marks and intervals are, and of how much data.
    """
    width = figure.get_figwidth()
    figure.suptitle(_wrapped(title, width * _TITLE_LETTERS), x=0.01, ha="left")
    figure.supxlabel(_wrapped(caption, width * _CAPTION_LETTERS), x=0.01, ha="left", size=8, color=GREY)


def _wrapped(text: str, letters: float) -> str:
    return textwrap.fill(text, int(letters), break_on_hyphens=False)  # ids have hyphens


def legend(axes: Axes, columns: int) -> None:
    """A legend above the axes, at the right, on the line of their title."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0.1, columnspacing=1.2)


def short(names: Sequence[str], length: int = 32) -> list[str]:
    """Names for a figure's labels: long ones lose their middle, as long as they stay different."""
    longest = max((len(name) for name in names), default=0)
    while length < longest:
        half = (length - 1) // 2
        cut = [
            name if len(name) <= length else f"{name[: length - 1 - half]}…{name[len(name) - half :]}"
            for name in names
        ]
        if len(set(cut)) == len(set(names)):
            return cut
        length += 8
    return list(names)


def label_width(names: Sequence[str]) -> float:
    """About how many inches the longest of these names takes as a label."""
    return 0.075 * max(map(len, short(names)), default=0)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Make the y axis a list of names, the first on top."""
    axes.set_yticks(range(len(names)), short(names))
    axes.set_ylim(len(names) - 0.4, -0.6)


def save(figures: Mapping[str, Figure], folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write figures as files.

    Args:
        figures: by the name of their files.
        folder: made where there is none; files of these names in it are replaced.
        formats: the file formats, each a suffix that matplotlib knows.

    Returns:
        The files.

    Raises:
        ConfigError: the folder can't be made or written.
    """
    metadata: dict[str, dict[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None}}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with style(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Glyph .* missing"
            )  # a model's name may be written in any script
            for name, figure in figures.items():
                for suffix in formats:
                    path = folder / f"{name}.{suffix}"
                    figure.savefig(
                        path, dpi=_RESOLUTION, metadata=metadata.get(suffix), facecolor="white",
                        bbox_inches="tight", pad_inches=0.12,
                    )  # fmt: skip
                    written.append(path)
    except OSError as error:
        raise ConfigError(f"figures can't be written to {folder}: {error.strerror or error}") from error
    return written
