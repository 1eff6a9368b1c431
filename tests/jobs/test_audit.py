"""`audit_labeler` from a file to a published report, with scripted judges."""

import asyncio
import json
from collections import Counter

import pytest

from constitutional import JobOptions, ScriptedEngine
from constitutional.attacks import ATTACKS, attack
from constitutional.errors import ChoiceUnsupported, ConfigError, EngineDied, OptionNotShown, SourceError
from constitutional.feedback import Comparison
from constitutional.jobs.audit import audit_labeler, audit_labeler_async
from constitutional.jobs.audit_attacks import AttackDraw, AttackedComparison, attack_kinds
from constitutional.jobs.audit_data import AuditData
from constitutional.jobs.label import label_comparisons
from constitutional.records import Message
from constitutional.sources.comparisons import ComparisonRow
from constitutional.stages.label import LabelSettings
from tests.helpers import PROMPT_SET, data_files, read
from tests.judges import Judge, rules, uniform


class Reader(Judge):
    """A judge that reads responses of several lines too, as attacks are."""

    def believes(self, messages):
        return self.opinion(*_shown(messages), messages)


def _shown(messages):
    """The two responses with all their lines, and the question."""
    text = next(message.content for message in reversed(messages) if message.role == "user")
    first, _, rest = text.partition("\nA:\n> ")[2].partition("\nB:\n> ")
    second, _, question = rest.rpartition("\nQuestion: ")
    return first, second, question


@pytest.fixture
def real_figures():
    """Asked for by the tests whose figures are to be real ones."""


@pytest.fixture(autouse=True)
def quick_figures(request, monkeypatch):
    """Figures that are drawn in no time, for all tests but those that are about them."""
    if "real_figures" in request.fixturenames:
        return

    def draw(data, folder):
        names = ["reliability.svg"] + (["effects.svg"] if data.findings.effects else [])
        for name in names:
            (folder / name).write_text(repr(data.report()), encoding="utf-8")
        return [folder / name for name in names]

    monkeypatch.setattr(AuditData, "draw", draw)


def moody(first, second, question, messages):
    return uniform(first, second, question)


def write(folder, rows, name="comparisons.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(count, **more):
    """Comparisons of which people prefer the first or the second in turn."""
    return [
        {
            "id": f"c{n}",
            "prompt": f"Question {n}?",
            "responses": [f"One answer, {n}.", f"Another answer, {n}."],
            "probability": float(n % 2),
            **more,
        }
        for n in range(count)
    ]


def run(comparisons, out, *, constitution=None, judge=None, settings=None, **more):
    more.setdefault("prompt_set", PROMPT_SET)
    return audit_labeler(
        comparisons,
        constitution or rules(),
        out,
        engine=judge or Reader(moody),
        settings=LabelSettings(**(settings or {})),
        **more,
    )


def settings_of(report):
    return {setting["name"]: setting for setting in report.audit["settings"]}


# ---------------------------------------------------------------------- what comes out


def test_every_comparison_is_labelled_under_every_setting_as_label_would_alone(tmp_path):
    source = write(tmp_path, rows(6))
    own = {"two": {"principles": 2}}
    report = run(source, tmp_path / "run", vary=["one-order", "chain-of-thought"], variants=own)
    labels = read(tmp_path / "run", "labels")
    assert len(labels) == 6 * 4
    assert [row["setting"] for row in labels[:4]] == ["baseline", "one-order", "chain-of-thought", "two"]
    alone = {
        "baseline": {},
        "one-order": {"both_orders": False},
        "chain-of-thought": {"chain_of_thought": True},
        "two": {"principles": 2},
    }
    for name, settings in alone.items():
        out = tmp_path / name
        label_comparisons(
            source,
            rules(),
            out,
            engine=Reader(moody),
            settings=LabelSettings(**settings),
            prompt_set=PROMPT_SET,
        )
        ours = {row["id"]: row for row in labels if row["setting"] == name}
        for row in read(out, "labels"):
            assert (ours[row["id"]]["probability"], ours[row["id"]]["votes"]) == (
                row["probability"],
                row["votes"],
            )
    assert [setting["name"] for setting in report.audit["settings"]] == list(alone)
    assert [effect["setting"] for effect in report.audit["effects"]] == list(alone)[1:]


def test_agreement_is_counted_against_people(tmp_path):
    def first_answer(first, second, question, messages):
        return 0.8 if first.startswith("One") else 0.2

    report = run(write(tmp_path, rows(9)), tmp_path / "run", judge=Judge(first_answer), vary=["one-order"])
    for setting in report.audit["settings"]:  # people prefer the first response in 4 of 9
        measures = setting["measures"]
        assert measures["agreement"]["value"] == pytest.approx(4 / 9, abs=1e-6)
        assert measures["brier"]["value"] == pytest.approx((4 * 0.2**2 + 5 * 0.8**2) / 9, abs=1e-6)
    by_name = {row["setting"]: row for row in read(tmp_path / "run", "measures")}
    assert by_name["baseline"]["agreement"] == pytest.approx(4 / 9, abs=1e-6)
    assert by_name["baseline"]["agreement_low"] < 4 / 9 < by_name["baseline"]["agreement_high"]
    assert json.loads(by_name["one-order"]["changes"]) == {"both_orders": False}
    assert (by_name["one-order"]["flags"], by_name["one-order"]["requests"]) == ("--one-order", 1)


def test_counts_add_up_and_say_why(tmp_path):
    given = [
        *rows(4),
        {"id": "tie", "prompt": "Q", "responses": ["a", "b"], "votes": [1, 2]},
        {"id": "silent", "prompt": "Q", "responses": ["a", "b"]},
        {"id": "missing", "prompt": "Q", "responses": ["a", "b"], "votes": [None, None]},
        {"id": "same", "prompt": "Q", "responses": ["a", "a"], "probability": 1},
        {"id": "loud", "prompt": "Q", "responses": ["shout", "b"], "probability": 1},
    ]

    def opinion(first, second, question, messages):
        return None if "shout" in (first, second) else 0.6

    judge = Judge(opinion)
    judge._score = lambda messages, options: [0.0, 0.0] if judge.believes(messages) is None else [0.6, 0.3]
    report = run(write(tmp_path, given), tmp_path / "run", judge=judge, vary=["one-order"])
    counts = report.report.manifest["counts"]
    assert counts["inputs"] == {
        "read": 9,
        "judged": 6,
        "ties": 1,
        "skipped": 3,
        "reasons": {"identical_responses": 1, "no_human_label": 2},
    }
    for name in ("baseline", "one-order"):
        assert counts["settings"][name] == {
            "total": 6,
            "ok": 5,
            "skipped": 0,
            "failed": 1,
            "reasons": {"no_mass": 1},
        }
    parts = [*counts["settings"].values(), counts["attacks"]]
    whole = counts["rows"]
    assert whole["total"] == sum(one["total"] for one in parts) + counts["inputs"]["skipped"] == 15
    assert (whole["ok"], whole["skipped"], whole["failed"]) == (10, 3, 2) and report.report.failed == 2
    assert report.audit["comparisons"] == counts["inputs"]
    labels = read(tmp_path / "run", "labels")
    assert Counter(row["status"] for row in labels) == {"ok": 10, "failed": 2, "skipped": 3}
    assert {row["id"] for row in labels if row["setting"] is None} == {"silent", "missing", "same"}
    assert next(row for row in labels if row["id"] == "silent")["reason"] == "no_human_label"


def test_people_s_judgement_comes_from_whatever_the_file_has(tmp_path):
    given = [
        {"id": "chosen", "prompt": "Q?", "chosen": "a", "rejected": "b"},
        {"id": "votes", "instruction": "Q?", "input": "", "response1": "a", "response2": "b", "annotator1": 2,
         "annotator2": 2, "annotator3": 0},
        {"id": "paper", "prompt": "Q?", "corrects": ["a"], "incorrects": ["b"]},
    ]  # fmt: skip
    run(write(tmp_path, given), tmp_path / "run", vary=["none"])
    human = {row["id"]: row["human"] for row in read(tmp_path / "run", "labels")}
    assert human == {"chosen": 1.0, "votes": pytest.approx(0.5 / 3), "paper": 1.0}


def test_a_file_without_people_s_judgement_is_refused_before_anything_is_asked(tmp_path):
    judge = Reader(moody)
    given = [{"prompt": f"Q{n}", "responses": ["a", "b"]} for n in range(3)]
    with pytest.raises(SourceError, match="of 3 rows none is a comparison that people have judged"):
        run(write(tmp_path, given), tmp_path / "run", judge=judge)
    assert judge.choices == [] and not (tmp_path / "run").exists()


def test_the_data_load_with_plain_datasets_and_as_comparisons_again(tmp_path):
    from datasets import load_dataset

    out = tmp_path / "run"
    run(write(tmp_path, rows(4)), out, vary=["one-order"], attacks=["choose"])
    cache = str(tmp_path / "cache")
    assert len(load_dataset(str(out), split="train", cache_dir=cache)) == 8  # labels come first
    for name, count in (("measures", 2), ("comparisons", 4), ("attacks", 4)):
        assert len(load_dataset(str(out), name, split="train", cache_dir=cache)) == count
    again = run(out, tmp_path / "again", vary=["one-order"])
    assert read(tmp_path / "again", "labels") == read(out, "labels")
    assert again.audit["comparisons"]["judged"] == 4


def test_the_figures_are_real_files_and_the_same_each_time(tmp_path, real_figures):
    source = write(tmp_path, rows(6))
    given = {"vary": ["one-order"], "attacks": ["choose"]}
    found = [run(source, tmp_path / name, **given).audit["figures"] for name in "ab"]
    names = {f"{name}.{end}" for name in ("reliability", "effects", "attacks") for end in ("png", "svg")}
    assert names <= set(found[0]) and found[0] == found[1]
    for name in found[0]:
        one, other = ((tmp_path / out / "figures" / name).read_bytes() for out in "ab")
        assert one == other and len(one) > 1000


# ---------------------------------------------------------------------- cost


def test_a_setting_costs_what_it_would_alone_though_its_requests_are_shared(tmp_path):
    source = write(tmp_path, rows(5))
    judge = Reader(moody)
    vary = ["one-order", "logit-average", "principles-4", "chain-of-thought", "chain-of-thought-no-clamp"]
    run(source, tmp_path / "run", judge=judge, vary=vary)
    assert len(judge.choices) == len(set(judge.choices)) == 5 * (4 * 2 + 2)
    assert len(judge.requests) == len(set(judge.requests)) == 5 * 2
    labels = read(tmp_path / "run", "labels")
    for name in vary:
        alone = Reader(moody)
        run(source, tmp_path / name, judge=alone, vary=["none"], settings=_settings(name))
        ours = [row for row in labels if row["setting"] == name]
        theirs = [row for row in read(tmp_path / name, "labels") if row["setting"] == "baseline"]
        for one, other in zip(ours, theirs, strict=True):
            for tokens in ("prompt_tokens", "completion_tokens"):
                assert one[tokens] == other[tokens] and (one[tokens] > 0 or tokens == "completion_tokens")


def _settings(name):
    from constitutional.jobs.audit_settings import VARIATIONS

    return VARIATIONS[name][1]


def test_token_counts_do_not_depend_on_what_is_remembered(tmp_path):
    source, out = write(tmp_path, rows(5)), tmp_path / "run"
    run(source, out, vary=["none"])
    later = run(source, out, vary=["one-order", "chain-of-thought"])
    once = run(source, tmp_path / "once", vary=["one-order", "chain-of-thought"])
    assert read(out, "labels") == read(tmp_path / "once", "labels")
    assert [s["measures"]["tokens"] for s in later.audit["settings"]] == [
        s["measures"]["tokens"] for s in once.audit["settings"]
    ]


def test_a_dry_run_tells_what_each_setting_costs_and_asks_nothing(tmp_path):
    source, judge = write(tmp_path, rows(5)), Reader(moody)
    vary = ["one-order", "principles-4", "chain-of-thought", "chain-of-thought-no-clamp"]
    given = {"vary": vary, "attacks": ["choose", "threat"], "attack_pairs": 3}
    report = run(source, tmp_path / "run", judge=judge, options=JobOptions(dry_run=True), **given)
    assert (judge.choices, judge.requests, report.audit) == ([], [], None)
    assert not (tmp_path / "run").exists()
    costs = {cost.name: (cost.rows, cost.requests, cost.new) for cost in report.costs}
    assert costs == {
        "baseline": (5, 10, 10),
        "one-order": (5, 5, 0),
        "principles-4": (5, 40, 30),
        "chain-of-thought": (5, 20, 20),
        "chain-of-thought-no-clamp": (5, 20, 0),
        "attacks": (6, 12, 12),
    }
    assert report.report.estimate.missing == sum(new for _, _, new in costs.values())
    real = run(source, tmp_path / "run", judge=judge, **given)
    assert len(judge.choices) + len(judge.requests) == report.report.estimate.missing
    assert real.report.stats.generated == report.report.estimate.missing
    again = run(source, tmp_path / "run", options=JobOptions(dry_run=True), **given)
    assert {cost.rows for cost in again.costs} == {0} and again.report.estimate.missing == 0


# ---------------------------------------------------------------------- the same command again


def test_the_same_command_again_asks_nothing_and_changes_no_byte(tmp_path, monkeypatch):
    source, out = write(tmp_path, rows(6)), tmp_path / "run"
    given = {"vary": ["one-order", "chain-of-thought"], "attacks": ["choose"]}
    run(source, out, **given)
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(out.rglob("*")) if _lasting(p)}
    assert {"audit.json", "manifest.json", "reliability.svg"} <= {path.name for path in files}
    monkeypatch.setattr(AuditData, "draw", None)  # what is drawn already is not drawn again
    judge = Reader(moody)
    report = run(source, out, judge=judge, **given)
    assert (report.report.plan.kept, report.report.plan.to_do) == (6 * 3 + 6, 0)
    assert (judge.choices, judge.requests) == ([], [])
    again = {p: p.read_bytes() for p in sorted(out.rglob("*")) if _lasting(p)}
    assert again == {path: content for path, (content, _) in files.items()}


def _lasting(path):
    return path.is_file() and not path.name.startswith("ledger.sqlite") and path.name != ".lock"


def test_adding_a_setting_redoes_nothing_and_taking_it_away_again_neither(tmp_path):
    source, out = write(tmp_path, rows(6)), tmp_path / "run"
    run(source, out, vary=["none"])
    before = data_files(out)
    report = run(source, out, vary=["no-examples"])
    assert (report.report.plan.kept, report.report.plan.to_do) == (6, 6)
    judge = Reader(moody)
    report = run(source, out, judge=judge, vary=["none"])
    assert (report.report.plan.kept, report.report.plan.dropped, judge.choices) == (6, 6, [])
    assert report.report.plan.lost == {"setting:no-examples": 6}
    assert data_files(out) == before
    assert [setting["name"] for setting in report.audit["settings"]] == ["baseline"]
    assert not (out / "figures" / "effects.svg").exists()  # nothing is compared any more


def test_a_change_of_the_model_is_refused_until_rebuild(tmp_path):
    source, out = write(tmp_path, rows(3)), tmp_path / "run"
    run(source, out, vary=["none"])
    other = Reader(moody, name="other")
    with pytest.raises(ConfigError, match="--rebuild"):
        run(source, out, vary=["none"], judge=other)
    report = run(source, out, vary=["none"], judge=other, options=JobOptions(rebuild=True))
    assert report.report.plan.stale == 3


def test_what_people_say_may_change_without_asking_anything(tmp_path):
    source, out = write(tmp_path, rows(4)), tmp_path / "run"
    before = run(source, out, vary=["none"])
    judge = Reader(moody)
    write(tmp_path, rows(4, probability=0.5))
    after = run(source, out, vary=["none"], judge=judge)
    assert judge.choices == [] and after.report.plan.stale == 4
    assert before.audit["comparisons"]["ties"] == 0 and after.audit["comparisons"]["ties"] == 4
    assert after.audit["settings"][0]["measures"]["agreement"] is None


def test_new_weights_count_for_attacks_too(tmp_path):
    source, given = write(tmp_path, rows(8)), {"vary": ["none"], "attacks": ["choose"]}
    before = run(source, tmp_path / "run", **given).audit["attacks"]
    write(tmp_path, [{**row, "weight": 1000.0 if row["id"] == "c0" else 1.0} for row in rows(8)])
    judge = Reader(moody)
    after = run(source, tmp_path / "run", judge=judge, **given).audit["attacks"]
    assert judge.choices == [] and after != before
    assert after == run(source, tmp_path / "fresh", **given).audit["attacks"]


def test_the_order_of_the_file_changes_no_measure(tmp_path):
    given = rows(12)
    one = run(write(tmp_path, given, "a.jsonl"), tmp_path / "a", attacks=["choose"], attack_pairs=5)
    other = run(write(tmp_path, given[::-1], "b.jsonl"), tmp_path / "b", attacks=["choose"], attack_pairs=5)
    assert one.audit["settings"] == other.audit["settings"]
    assert one.audit["effects"] == other.audit["effects"] and one.audit["attacks"] == other.audit["attacks"]


def test_swapping_the_responses_of_a_file_changes_no_measure(tmp_path):
    given = rows(12)
    swapped = [
        {**row, "responses": row["responses"][::-1], "probability": 1 - row["probability"]} for row in given
    ]
    options = {"attacks": ["choose", "threat"], "attack_pairs": 6}
    one = run(write(tmp_path, given, "a.jsonl"), tmp_path / "a", **options)
    other = run(write(tmp_path, swapped, "b.jsonl"), tmp_path / "b", **options)
    assert one.audit["settings"] == other.audit["settings"]
    assert one.audit["effects"] == other.audit["effects"] and one.audit["attacks"] == other.audit["attacks"]


def test_a_report_cut_off_before_it_was_written_is_written_by_the_same_command(tmp_path, monkeypatch):
    from constitutional.jobs import audit_report

    source, out = write(tmp_path, rows(4)), tmp_path / "run"

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit_report, "replace_file", full)
    with pytest.raises(ConfigError, match=r"No space left.*same command"):
        run(source, out, vary=["none"])
    monkeypatch.undo()
    judge = Reader(moody)
    assert run(source, out, vary=["none"], judge=judge).audit["comparisons"]["judged"] == 4
    assert judge.choices == [] and json.loads((out / "audit.json").read_text())["format"] == 1


def test_settings_share_the_votes_that_are_kept_in_memory(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(AuditData, "draw", lambda data, folder: kept.append(data.findings.judged) or [])
    run(write(tmp_path, rows(3)), tmp_path / "run", vary=["one-order", "clamp-0.4", "chain-of-thought"])
    votes = [vote for judged in kept[0].values() for one in judged for vote in one.votes]
    # this judge does not listen to reasoning, so that all settings have the baseline's two votes, or one of them
    assert len(votes) == 3 * (2 + 1 + 2 + 2) and len({id(vote) for vote in votes}) == 3 * 2
    assert {vote.rationale for vote in votes} == {None}


def test_a_figure_that_was_replaced_is_drawn_again(tmp_path):
    source, out = write(tmp_path, rows(4)), tmp_path / "run"
    run(source, out, vary=["none"])
    figure = out / "figures" / "reliability.svg"
    drawn = figure.read_bytes()
    figure.write_text("something else")
    run(source, out, vary=["none"])
    assert figure.read_bytes() == drawn


def test_one_comparison_without_an_answer_leaves_the_audit_alone(tmp_path):
    class Hidden(Reader):
        async def choose(self, messages, options, terminator=None):
            if any("One answer, 0." in message.content for message in messages):
                raise OptionNotShown("B is not among the 20 tokens shown")
            return await super().choose(messages, options, terminator)

    report = run(write(tmp_path, rows(3)), tmp_path / "run", judge=Hidden(moody))
    assert len(report.audit["settings"]) > 10
    for setting in report.audit["settings"]:
        assert setting["rows"]["reasons"] == {"option_not_shown": 1}


def test_a_judge_without_probabilities_is_refused_with_what_to_do(tmp_path):
    judge = Reader(moody)

    async def choose(messages, options, terminator=None):
        raise ChoiceUnsupported("no logprobs")

    judge.choose = choose
    with pytest.raises(ConfigError, match="--votes sampled"):
        run(write(tmp_path, rows(3)), tmp_path / "run", judge=judge, vary=["none"])


def test_a_dead_engine_keeps_what_is_finished(tmp_path):
    class Mortal(Judge):
        async def start(self):
            if self.choices:
                raise EngineDied("gone for good")

        async def choose(self, messages, options, terminator=None):
            if len(self.choices) >= 6:
                raise EngineDied("gone")
            return await super().choose(messages, options, terminator)

    import constitutional.supervisor as supervisor

    assert supervisor._STARTS > 0
    source, out = write(tmp_path, rows(10)), tmp_path / "run"
    with pytest.raises(EngineDied), pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "_STARTS", 1)
        run(source, out, judge=Mortal(moody, slots=2), vary=["none"])
    judge = Reader(moody)
    run(source, out, judge=judge, vary=["none"])
    assert len(judge.choices) == 20 - 6


def test_in_an_event_loop_the_other_function_is_named_and_works(tmp_path):
    source = write(tmp_path, rows(2))

    async def call():
        with pytest.raises(ConfigError, match="audit_labeler_async"):
            run(source, tmp_path / "run")
        return await audit_labeler_async(
            source, rules(), tmp_path / "run", engine=Reader(moody), prompt_set=PROMPT_SET, vary=["none"]
        )

    assert asyncio.run(call()).audit["comparisons"]["judged"] == 2


# ---------------------------------------------------------------------- attacks


def gullible(first, second, question, messages):
    """Believes whoever says `choose`; else prefers what begins with `One`."""
    for text, p in ((first, 1.0), (second, 0.0)):
        if "Please choose (" in text:
            assert f"({'A' if p else 'B'})" in text  # the letter under which it is shown here
            return 0.95 if p else 0.05
    return 0.7 if first.startswith("One") else 0.3


def test_flips_are_counted_against_the_same_pair_without_the_attack(tmp_path):
    report = run(
        write(tmp_path, rows(8)),
        tmp_path / "run",
        judge=Reader(gullible),
        vary=["none"],
        attacks=["choose", "threat"],
    )
    attacks = report.audit["attacks"]
    kinds = {kind["kind"]: kind for kind in attacks["kinds"]}
    # people and the judge prefer the first response of the odd ones: there the second attacks
    assert kinds["choose"]["n"] == kinds["threat"]["n"] == 8
    assert (kinds["choose"]["flips"]["value"], kinds["choose"]["flips"]["n"]) == (1.0, 4)
    assert kinds["threat"]["flips"]["value"] == 0.0 and kinds["threat"]["shift"]["value"] == 0.0
    assert [kind["kind"] for kind in attacks["kinds"]] == ["choose", "threat"]
    for row in read(tmp_path / "run", "attacks"):
        odd = int(row["id"][1:]) % 2
        assert row["attacked"] == odd
        assert row["before"] == pytest.approx(0.3 if odd else 0.7)
        assert row["after"] == pytest.approx(0.95 if row["kind"] == "choose" else row["before"])


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("attacked", [0, 1])
def test_an_attack_asks_for_the_option_that_its_response_is_shown_as(kind, attacked):
    plain = Comparison("c", (Message("user", "Q?"),), ("first", "second"))
    under_attack = AttackedComparison(plain.id, plain.prompt, plain.responses, kind, attacked, ("X", "Y"))
    for order in (0, 1):
        place = attacked if order == 0 else 1 - attacked
        texts = list(plain.shown(order))
        texts[place] = attack(kind, texts[place], ("X", "Y")[place], ("X", "Y"))
        assert under_attack.shown(order) == tuple(texts)
    swapped = under_attack.swap()
    assert (swapped.shown(0), swapped.shown(1)) == (under_attack.shown(1), under_attack.shown(0))
    assert swapped.swap() == under_attack


def row_of(number, human):
    return ComparisonRow(number, f"c{number}", Comparison(f"c{number}", (), ("a", "b")), human)


def test_pairs_to_attack_are_drawn_by_hash_from_those_on_which_people_agree():
    def drawn(numbers, kinds=("choose", "threat"), pairs=5):
        draw = AttackDraw(kinds, pairs, seed=0)
        for place, number in enumerate(numbers):
            human = (0.5, 0.667, 0.75, 1.0, 0.0)[number % 5]
            draw.offer(ComparisonRow(place, f"c{number}", row_of(number, human).comparison, human))
        found = {}
        for kind, row in draw.drawn():
            found.setdefault(kind, []).append(row.id)
        return found

    all_of = drawn(range(100))
    assert {kind: len(ids) for kind, ids in all_of.items()} == {"choose": 5, "threat": 5}
    assert all(int(id[1:]) % 5 >= 2 for ids in all_of.values() for id in ids)
    assert all_of["choose"] != all_of["threat"]
    assert {k: set(v) for k, v in drawn(reversed(range(100))).items()} == {
        k: set(v) for k, v in all_of.items()
    }
    assert drawn(range(100), kinds=("threat",))["threat"] == all_of["threat"]
    more = drawn(range(100), pairs=8)
    assert all(set(all_of[kind]) < set(more[kind]) for kind in all_of)
    assert len(drawn(range(5), pairs=50)["choose"]) == 3


def test_kinds_of_attack_are_chosen_by_name():
    assert attack_kinds(["all"]) == tuple(ATTACKS) and attack_kinds([]) == ()
    assert attack_kinds(["threat", "choose"]) == ("choose", "threat")
    with pytest.raises(ConfigError, match="did you mean 'threat'"):
        attack_kinds(["thread"])


def test_an_attack_that_does_not_fit_the_context_is_skipped_and_counted(tmp_path):
    judge = Reader(gullible, context_length=300)
    report = run(
        write(tmp_path, rows(4)), tmp_path / "run", judge=judge, vary=["none"], attacks=["padding", "choose"]
    )
    kinds = {kind["kind"]: kind for kind in report.audit["attacks"]["kinds"]}
    assert (kinds["padding"]["n"], kinds["padding"]["unlabelled"]) == (4, 4)
    assert kinds["choose"]["unlabelled"] == 0
    assert report.report.manifest["counts"]["attacks"]["reasons"] == {"too_long": 4}


# ---------------------------------------------------------------------- real data


@pytest.mark.parametrize(
    ("path", "limit", "judged"),
    [
        ("cai-paper/evals/438HHHEvaluations.jsonl", None, 438),
        ("hh-rlhf/harmless-base.jsonl.gz", 60, None),
        ("pandalm/testset-v1.json", 60, None),
    ],
)
def test_files_of_people_s_judgements_are_audited_as_they_are(real_data, tmp_path, path, limit, judged):
    report = audit_labeler(
        real_data / path,
        "harmlessness",
        tmp_path / "run",
        engine=ScriptedEngine(),
        vary=["clamp-0.4"],
        attacks=["choose"],
        attack_pairs=3,
        limit=limit,
    )
    given = report.audit["comparisons"]
    assert given["read"] == (limit or judged) == given["judged"] + given["skipped"]
    assert given["judged"] >= (judged or 50) and "no_human_label" not in given["reasons"]
    for setting in report.audit["settings"]:
        assert setting["measures"]["labelled"] == given["judged"] == setting["rows"]["ok"]
    assert report.audit["attacks"]["overall"]["n"] == 3
