"""Figures of what principles did to labels: each drawn where there are data for it, and nothing in them overlaps."""

import random

import pytest

from constitutional.report.analysis import draw_all
from constitutional.report.figures import save
from constitutional.report.heat import MOST_IN_SQUARE
from constitutional.report.parts import MOST
from constitutional.stages.label import LabelSettings
from constitutional.workbench.label_analysis import analyse_labels
from tests.report.test_principles import caption, names, overlaps
from tests.workbench.labels import label_of, questions, votes_of, write_labels

ALL = LabelSettings(principles="all")


def synthetic(principles, count=60, each=None, made_with=ALL, seed=0):
    """Labels in which everything varies; the last principle disagrees with the others."""
    chance = random.Random(seed)
    for n in range(count):
        common, votes = chance.gauss(0, 0.15), {}
        for id in principles if each is None else chance.sample(principles, each):
            sign = -1 if id == principles[-1] else 1
            d = max(-0.45, min(0.45, sign * common + chance.gauss(0, 0.1)))
            bias = chance.uniform(-0.02, 0.05)
            votes[id.replace("-", "_")] = (0.5 + d + bias, 0.5 + d - bias)
        yield label_of(str(n), votes_of(**votes), made_with)


def figures_of(out, ids, made_with=ALL, *, people=True, **more):
    labels = list(synthetic(ids, made_with=made_with, **more))
    chance = random.Random(9)
    human = {label.id: chance.choice([0.0, 1.0]) for label in labels} if people else None
    rules = questions(**{id.replace("-", "_"): 1 for id in ids})
    return draw_all(analyse_labels(write_labels(out, labels, rules, made_with, human=human)))


@pytest.mark.parametrize(("count", "length"), [(1, 5), (2, 12), (5, 12), (16, 20), (30, 12), (16, 90)])
def test_no_text_covers_another_or_leaves_the_figure(tmp_path, count, length):
    drawn = figures_of(tmp_path / "run", names(count, length))
    assert set(drawn) == ({"principles", "influence", "agreement"} if count > 1 else {"principles"})
    for name, figure in drawn.items():
        assert overlaps(figure) == [], name


def test_more_principles_than_can_be_read_are_left_out_and_the_caption_says_so(tmp_path):
    ids = names(MOST + 5)
    for name, figure in figures_of(tmp_path / "run", ids, count=15).items():
        most = MOST_IN_SQUARE if name == "agreement" else MOST
        assert f"{most} of {MOST + 5} principles" in caption(figure)


def test_every_figure_has_a_title_and_says_of_how_much_data_it_is(tmp_path):
    for figure in figures_of(tmp_path / "run", names(5)).values():
        assert len(figure.get_suptitle()) > 20
        assert "60 comparisons with the constitution for-tests by judge-of-tests" in caption(figure)
        for axes in figure.axes:
            assert axes.get_xlabel() or axes.get_ylabel() or axes.get_title(loc="left")


def panels(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_without_people_their_panel_is_absent(tmp_path):
    drawn = figures_of(tmp_path / "run", names(4), people=False)
    assert panels(drawn["principles"]) == ["Drawn", "How decisive", "Position bias"]
    drawn = figures_of(tmp_path / "people", names(4))
    assert panels(drawn["principles"])[-1] == "Agrees with people"


def test_with_one_principle_a_label_there_is_no_figure_of_agreement(tmp_path):
    drawn = figures_of(tmp_path / "run", names(4), LabelSettings(principles=1), each=1)
    assert set(drawn) == {"principles"}


def test_pairs_that_hardly_meet_stay_empty_and_the_caption_says_so(tmp_path):
    drawn = figures_of(tmp_path / "run", names(9), LabelSettings(principles=2), each=2, count=70)
    assert "Grey: fewer than 3" in caption(drawn["agreement"])
    assert "Grey" not in caption(figures_of(tmp_path / "all", names(4))["agreement"])


def test_the_pair_that_agrees_least_is_in_the_title(tmp_path):
    ids = names(3)
    title = figures_of(tmp_path / "run", ids)["agreement"].get_suptitle().replace("\n", " ")
    assert "least: " in title and ids[-1] in title


def test_in_maps_without_numbers_a_stroke_tells_disagreement(tmp_path):
    drawn = figures_of(tmp_path / "run", names(26))["agreement"]
    assert {text.get_text() for axes in drawn.axes for text in axes.texts} == {"−"}


def test_a_run_in_which_no_vote_counts_is_drawn_too(tmp_path):
    made_with = LabelSettings(principles="all", low_mass="exclude")
    labels = [label_of(str(n), votes_of(mass=0.1, a=(0.9, 0.8)), made_with) for n in range(3)]
    drawn = draw_all(analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1), made_with)))
    assert set(drawn) == {"principles"} and "no vote counts" in drawn["principles"].get_suptitle()


def test_the_same_run_gives_the_same_files(tmp_path):
    ids = names(6)
    rules = questions(**{id.replace("-", "_"): 1 for id in ids})
    path = write_labels(tmp_path / "run", synthetic(ids), rules)
    for folder in ("one", "two"):
        written = save(draw_all(analyse_labels(path)), tmp_path / folder)
    assert len(written) == 6
    for file in written:
        assert file.read_bytes() == (tmp_path / "one" / file.name).read_bytes(), file.name
