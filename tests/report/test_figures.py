"""The common style of figures: the same bytes each time, nothing of the user's configuration, errors as sentences."""

import matplotlib
import pytest

from constitutional.errors import ConfigError
from constitutional.report.figures import describe, new_figure, rows, save, short, style


def figure_of(names=("a", "b")):
    with style():
        figure = new_figure(4, 3)
        axes = figure.subplots()
        axes.barh(range(len(names)), range(len(names)), hatch="//")
        rows(axes, names)
        describe(figure, "A title", "A caption.")
    return figure


def test_the_same_figure_is_the_same_bytes_in_every_format(tmp_path):
    for folder in ("one", "two"):
        save({"it": figure_of()}, tmp_path / folder)
    for name in ("it.png", "it.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    written = (tmp_path / "one" / "it.svg").read_text(encoding="utf-8")
    assert "<dc:date>" not in written
    assert b"Software" not in (tmp_path / "one" / "it.png").read_bytes()


def test_the_users_own_configuration_changes_nothing_and_is_left_alone(tmp_path):
    save({"it": figure_of()}, tmp_path, ["svg"])
    plain = (tmp_path / "it.svg").read_bytes()
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.hashsalt": "other"}):
        save({"it": figure_of()}, tmp_path, ["svg"])
        assert matplotlib.rcParams["axes.facecolor"] == "red"
    assert (tmp_path / "it.svg").read_bytes() == plain


def test_pyplot_is_not_needed(tmp_path):
    import subprocess
    import sys

    program = (
        "import sys; from tests.report.test_figures import figure_of; from constitutional.report.figures import save\n"
        "from pathlib import Path; save({'it': figure_of()}, Path(sys.argv[1]))\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == 0


def test_a_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"figures can't be written to .*file"):
        save({"it": figure_of()}, tmp_path / "file")


def test_long_names_lose_their_middle_but_never_their_difference():
    assert short(["short", "x" * 20 + "-" + "y" * 20], 21) == ["short", "x" * 10 + "…" + "y" * 10]
    alike = ["a" * 30 + tail + "b" * 30 for tail in ("one", "two")]
    assert len(set(short(alike, 20))) == 2
    assert max(map(len, short(["word-" * 19 + "end"], 32))) == 32


def test_a_dollar_is_a_dollar(tmp_path):
    save({"it": figure_of(["cost-$x_1$", "b$"])}, tmp_path, ["png"])
    assert (tmp_path / "it.png").stat().st_size > 1000
