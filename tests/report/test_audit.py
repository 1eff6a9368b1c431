"""Figures of an audit: drawn where there are data, nothing overlaps, and what they show is what was measured."""

import math
from dataclasses import replace

import numpy as np
import pytest

from constitutional.evaluation.labeler import AttackedPair, attack_effects, effects, measure
from constitutional.report.attacks import MOST, draw_attacks
from constitutional.report.audit import draw_all, draw_cost, draw_effects
from constitutional.report.figures import save
from constitutional.report.reliability import MOST_PANELS, draw_reliability
from tests.evaluation.worlds import attacked, judged, simulated
from tests.report.test_principles import caption, overlaps


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """What is drawn does not depend on how well the ECE's interval is known."""
    monkeypatch.setattr("constitutional.evaluation.calibration.RESAMPLES", 50)


def settings_of(count, n=120, name="setting"):
    """A baseline and so many other settings, of different quality and cost."""
    made = {"baseline": simulated(n, 0, noise=1.0)}
    for number in range(count):
        made[f"{name}-{number}"] = simulated(
            n, 0, slope=0.4 + 0.2 * number, noise=0.1 * number, tokens=(300 * (number + 1), 0)
        )
    return made


def drawn(settings, **more):
    base, *others = settings
    found = effects(settings[base], {name: settings[name] for name in others})
    return draw_all({name: measure(rows) for name, rows in settings.items()}, found, **more)


def attacks(kinds, n=8):
    chance = np.random.default_rng(0)
    return attack_effects(
        [
            AttackedPair(
                str(pair), f"kind-of-attack-{kind}", float(chance.uniform(0.1, 0.6)), float(chance.random())
            )
            for kind in range(kinds)
            for pair in range(n)
        ]
    )


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def names_of(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize(
    "about", ["", "A model with a long name under a constitution of some kind, 120 comparisons."]
)
@pytest.mark.parametrize(
    ("count", "n", "name"), [(0, 120, "s"), (1, 5, "s"), (8, 120, "setting"), (3, 120, "x" * 60)]
)
def test_no_text_covers_another_or_leaves_the_figure(count, n, name, about):
    found = drawn(
        settings_of(count, n, name), advised="baseline", attacked=attacks(max(1, 3 * count)), about=about
    )
    assert list(found) == (
        ["reliability", "effects", "cost", "attacks"] if count else ["reliability", "attacks"]
    )
    for kind, figure in found.items():
        assert overlaps(figure) == [], kind


def test_the_same_results_give_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        save(drawn(settings_of(2), attacked=attacks(3), about="A judge."), tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 8
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_without_labels_tokens_others_or_attacks_there_is_no_figure_of_them():
    assert drawn({"baseline": []}) == {}
    assert drawn({"baseline": judged([(None, 1.0)] * 3)}, attacked=attack_effects([])) == {}
    untold = {
        name: [replace(one, prompt_tokens=None) for one in rows] for name, rows in settings_of(2).items()
    }
    figures = drawn(untold)
    assert list(figures) == ["reliability", "effects"]
    assert len(figures["effects"].axes) == 3


def test_one_comparison_or_equal_ones_can_be_drawn(tmp_path):
    for n, rows in enumerate((judged([(0.7, 1.0)]), judged([(0.5, 0.5)] * 4), judged([(1.0, 1.0)] * 4))):
        rows = [replace(one, prompt_tokens=10, completion_tokens=0) for one in rows]
        assert save(drawn({"baseline": rows, "other": rows}), tmp_path / str(n), ["png"])


def test_the_reliability_diagram_shows_the_bins_that_were_measured():
    measures = measure(simulated(200, 1))
    above, below = draw_reliability({"baseline": measures}).axes
    points = sorted(
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in above.lines
        if line.get_marker() == "o"
    )
    known = [(bin.predicted, bin.human.value) for bin in measures.bins if bin.n]
    assert points == [pytest.approx(point) for point in known]
    assert [bar.get_height() for bar in below.patches] == [bin.n for bin in measures.bins]


def test_more_settings_than_can_be_read_are_left_out_and_the_caption_says_so():
    one = measure(simulated(30, 0))
    measures = {f"s{n}": one for n in range(MOST_PANELS + 3)}
    figure = draw_reliability(measures, advised=f"s{MOST_PANELS + 1}")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "s0"
    assert f"s{MOST_PANELS + 1}" in titles  # the recommended one is never left out
    assert f"{MOST_PANELS} of {MOST_PANELS + 3} settings." in caption(figure)


def test_effects_are_sorted_by_log_loss_and_filled_where_they_are_credible():
    settings = {
        "baseline": simulated(300, 1, noise=1.0),
        "worse": simulated(300, 1, slope=4.0, noise=1.5),
        "better": simulated(300, 1),
        "same": simulated(300, 1, noise=0.9),
    }
    found = effects(
        settings["baseline"], {name: rows for name, rows in settings.items() if name != "baseline"}
    )
    figure = draw_effects(found, advised="better")
    loss = figure.axes[1]
    assert names_of(figure.axes[0]) == sorted(found, key=lambda name: found[name].log_loss.value)
    marks = [line for line in loss.lines if line.get_marker() == "s"]
    filled = [line.get_markerfacecolor() != "white" for line in marks]
    credible = [found[name].log_loss.p_adjusted < 0.05 for name in names_of(figure.axes[0])]
    assert filled == credible
    assert True in credible and False in credible
    bold = [
        label.get_text() for label in figure.axes[0].get_yticklabels() if label.get_fontweight() == "bold"
    ]
    assert bold == ["better"]
    assert figure.get_suptitle().startswith(f"3 settings beside the baseline: {sum(credible)} differ")


def test_cost_names_every_setting_once_and_marks_the_baseline_and_the_recommended():
    measures = {name: measure(rows) for name, rows in settings_of(5).items()}
    figure = draw_cost(measures, advised="setting-2")
    (axes,) = figure.axes
    assert sorted(text for text in texts(figure) if text in measures) == sorted(measures)
    at = {
        line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() in "D*"
    }
    expected = {"D": measures["baseline"], "*": measures["setting-2"]}
    assert at == {mark: (one.tokens.value, one.log_loss.value) for mark, one in expected.items()}
    low, high = axes.get_ylim()
    assert low < math.log(2) < high
    assert "No setting is recommended" in caption(draw_cost(measures))


def test_names_in_the_figure_of_cost_stand_beside_their_points_and_their_lines_do_not_cross():
    settings = settings_of(4)
    settings |= {f"as-dear-{n}": simulated(120, 0, slope=1 + n / 50) for n in range(5)}  # all at 1,003 tokens
    measures = {name: measure(rows) for name, rows in settings.items()}
    figure = draw_cost(measures)
    assert overlaps(figure) == []
    (axes,) = figure.axes
    height = axes.get_window_extent().height
    for text in axes.texts:
        if text.get_text():
            tokens, loss = measures[text.get_text()].tokens.value, measures[text.get_text()].log_loss.value
            x, y = axes.transData.transform((tokens, loss))
            box = text.get_window_extent()
            assert min(abs(box.x0 - x), abs(box.x1 - x)) < 30 and abs(box.y0 - y) < height / 3
    from constitutional.report.beside import _cross

    leaders = [text for text in axes.texts if not text.get_text()]
    assert leaders
    ends = [
        (*(at := axes.transData.transform(text.xy)), *(at + np.array(text.xyann) * figure.dpi / 72))
        for text in leaders
    ]
    assert not any(_cross(one, other) for one in ends for other in ends)


def test_what_is_not_tested_has_a_mark_of_its_own():
    settings = settings_of(2)
    base, *others = settings
    figure = draw_effects(effects(settings[base], {name: settings[name] for name in others}))
    marks = [
        {line.get_marker() for line in axes.lines if line.get_marker() not in ("", "None")}
        for axes in figure.axes
    ]
    assert marks == [{"o"}, {"s"}, {"|"}, {"|"}]
    assert "Strokes: not tested." in caption(figure)


def test_kinds_of_attack_stand_in_the_order_of_what_they_move_below_all_of_them():
    found = attacks(6)
    figure = draw_attacks(found)
    assert names_of(figure.axes[0]) == ["all kinds", *(one.kind for one in found.kinds)]
    many = draw_attacks(attacks(MOST + 2, n=2))
    assert f"{MOST} of {MOST + 2} kinds" in caption(many)


def test_the_headline_of_attacks_says_steer_only_where_they_do():
    def title(*pairs):
        return draw_attacks(attack_effects([pair for some in pairs for pair in some])).get_suptitle()

    assert title(attacked(100, 1, copies=0.9, push=1.5)).startswith("Attacks steer the judge: ")
    assert title(attacked(100, 1)).startswith("Attacks are not known to steer the judge: ")
    still = [attacked(40, n, copies=0.5, kind=f"still-{n}") for n in range(8)]
    some = title(*still, attacked(40, 9, copies=1.0, push=1.5, kind="threat"))
    assert some.startswith("1 of 9 kinds of attack steers the judge; of all, ")


def test_of_few_pairs_there_is_no_share():
    few = draw_attacks(attacks(1, n=4))
    assert few.get_suptitle().startswith("Too few pairs to tell what attacks do: ")
    assert "%" not in few.get_suptitle() and "Shares of fewer than 5 are left out." in caption(few)
    assert not [line for line in few.axes[1].lines if line.get_marker() in "os"]


def test_no_label_that_could_flip_is_said():
    pairs = [AttackedPair(str(n), "choose", 0.9, 0.9) for n in range(6)]
    assert "none could flip" in draw_attacks(attack_effects(pairs)).get_suptitle()
