"""Figures of what principles did: each drawn where there are data for it, and nothing in them overlaps."""

import random
from itertools import combinations

import pytest

from constitutional.report.analysis import draw_all
from constitutional.report.figures import save
from constitutional.report.likeness import MOST_IN_SQUARE
from constitutional.report.principles import MOST
from constitutional.stages.checks import CHECKS
from constitutional.workbench.analysis import analyse
from tests.workbench.chains import chain_of, round_of, rules, write_run

SENTENCE = "it could be said that this answer would hurt a person who reads or hears of what we do there"
WORDS = SENTENCE.split()


def synthetic(principles, chains=60, rounds=2, seed=0, critique=True):
    """Chains in which everything varies."""
    chance = random.Random(seed)
    for n in range(chains):
        made = []
        for _ in range(rounds):
            checks = [check for check in CHECKS if check != "empty" and chance.random() < 0.15]
            said = " ".join(chance.choices(WORDS, k=12)) if critique else None
            revision = " ".join(chance.choices(WORDS, k=chance.randint(3, 30)))
            made.append(round_of(chance.choice(principles), revision, said, checks))
        yield chain_of(str(n), *made)


def figures_of(tmp_path, chains, constitution=None, **settings):
    return draw_all(analyse(write_run(tmp_path / "run", chains, constitution, **settings)))


def names(count, length=12):
    return [f"principle-{n}".ljust(length, "x") for n in range(count)]


def caption(figure):
    return figure.get_supxlabel().replace("\n", " ")


def overlaps(figure):
    """Pairs of texts that cover each other, and texts that leave the figure."""
    from matplotlib.text import Annotation, Text

    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = []
    undrawn = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip() or text in undrawn:
            continue
        box = (
            text.get_window_extent(renderer)
            if not isinstance(text, Annotation)
            else text.get_tightbbox(renderer)
        )
        boxes.append((text.get_text(), box.shrunk(0.98, 0.8) if box.width else box))
    page = figure.bbox.padded(2)
    found = [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)]
    return found + [text for text, box in boxes if not page.containsx(box.x1) or not page.containsy(box.y0)]


@pytest.mark.parametrize(("count", "length"), [(1, 5), (2, 12), (16, 20), (40, 12), (16, 100)])
def test_no_text_covers_another_or_leaves_the_figure(tmp_path, count, length):
    ids = names(count, length)
    chains = synthetic(ids, chains=20 * count)
    drawn = figures_of(tmp_path, chains, rules(**dict.fromkeys(ids, 1.0)))
    assert len(drawn) == (4 if count > 1 else 3)
    for name, figure in drawn.items():
        assert overlaps(figure) == [], name


def test_more_principles_than_can_be_read_are_left_out_and_the_caption_says_so(tmp_path):
    ids = names(MOST + 20)
    drawn = figures_of(tmp_path, synthetic(ids, chains=500), rules(**dict.fromkeys(ids, 1.0)))
    for name, figure in drawn.items():
        most = MOST_IN_SQUARE if name == "critique-likeness" else MOST
        assert f"{most} of {MOST + 20} principles" in caption(figure)


def test_every_figure_has_a_title_and_says_of_how_much_data_it_is(tmp_path):
    for figure in figures_of(tmp_path, synthetic(names(5)), rules(**dict.fromkeys(names(5), 1))).values():
        assert len(figure.get_suptitle()) > 20
        assert "60 chains with the constitution for-tests by model-of-tests" in caption(figure)


def test_axes_have_labels(tmp_path):
    for figure in figures_of(tmp_path, synthetic(names(5))).values():
        for axes in figure.axes:
            assert axes.get_xlabel() or axes.get_ylabel() or axes.get_title(loc="left")


def test_without_critiques_their_figures_and_panels_are_absent(tmp_path):
    drawn = figures_of(tmp_path, synthetic(names(5), critique=False))
    assert set(drawn) == {"principles", "changes", "failed-checks"}
    assert [axes.get_title(loc="left") for axes in drawn["principles"].axes] == [
        "Drawn",
        "Revision failed a check",
    ]


def test_where_nothing_fails_there_is_no_figure_of_failures(tmp_path):
    chains = [chain_of(str(n), round_of("a", f"new {n}")) for n in range(3)]
    assert "failed-checks" not in figures_of(tmp_path, chains)


def test_where_nothing_was_revised_what_is_left_is_drawn(tmp_path):
    chains = [chain_of(str(n), round_of("a", None)) for n in range(3)]
    assert set(figures_of(tmp_path, chains, rules(a=1), stop_when_clean=True)) == {"principles"}


def test_critiques_of_the_same_chain_are_mapped_where_there_are_enough(tmp_path):
    few = figures_of(tmp_path / "few", synthetic(names(12), chains=60, rounds=1))["critique-likeness"]
    assert "only 0 of 66 pairs" in caption(few) and len(few.axes) == 2
    many = figures_of(tmp_path / "many", synthetic(names(4), chains=60, rounds=3))["critique-likeness"]
    titles = [axes.get_title(loc="left") for axes in many.axes]
    assert titles[:2] == ["On different chains", "On the same chain"]


def test_many_rounds_are_drawn_as_the_first_and_the_last(tmp_path):
    drawn = figures_of(tmp_path, synthetic(names(3), chains=5, rounds=30))
    labels = [label.get_text() for label in drawn["changes"].axes[0].get_yticklabels()]
    assert labels[:8] == [f"all, round {n}" for n in (*range(1, 8), 30)]


def test_the_same_run_gives_the_same_files(tmp_path):
    path = write_run(tmp_path / "run", synthetic(names(6)), rules(**dict.fromkeys(names(6), 1)))
    for folder in ("one", "two"):
        written = save(draw_all(analyse(path)), tmp_path / folder)
    assert len(written) == 8
    for file in written:
        assert file.read_bytes() == (tmp_path / "one" / file.name).read_bytes(), file.name
