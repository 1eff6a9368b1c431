"""`constitutional audit` and `show` of its runs, as a user meets them."""

import json
import signal
import sys

import pytest

from constitutional.attacks import ATTACKS
from constitutional.cli.audit import _check, _thresholds
from constitutional.cli.show_audit import _flipped
from constitutional.errors import ThresholdMissed
from constitutional.jobs.audit_data import AuditData
from constitutional.jobs.audit_report import read_report
from constitutional.jobs.audit_settings import VARIATIONS
from tests.cli.conftest import SCRIPTED, until


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures are tested elsewhere; drawing them takes seconds."""
    monkeypatch.setattr(AuditData, "draw", lambda data, folder: [])


def rows(count):
    return [
        {
            "id": f"c{n}",
            "prompt": f"Question {n}?",
            "responses": [f"One answer, {n}.", f"Another answer, {n}."],
            "probability": (n % 3) / 2,
        }
        for n in range(count)
    ]


@pytest.fixture
def comparisons(tmp_path):
    """A function that writes comparisons as JSON lines and gives the file."""

    def write(count_or_rows, name="comparisons.jsonl"):
        given = rows(count_or_rows) if isinstance(count_or_rows, int) else count_or_rows
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
        return path

    return write


@pytest.fixture
def audit(constitutional, tmp_path):
    """A function that calls `audit` with the scripted engine and `tmp_path / "run"`."""
    return lambda source, *args: constitutional("audit", source, *SCRIPTED, "--out", tmp_path / "run", *args)


@pytest.fixture
def shown(constitutional, tmp_path):
    """A function that shows the run in `tmp_path / "run"`."""
    return lambda *args: constitutional("show", tmp_path / "run", *args)


def report_of(tmp_path):
    return json.loads((tmp_path / "run" / "audit.json").read_text())


def events(answer):
    return [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]


def cells(answer, name):
    """The cells of the first line of a table that begins with this name."""
    return next(line for line in answer.out.splitlines() if line.startswith(f"{name} ")).split()


# ---------------------------------------------------------------------- audit


def test_the_report_says_how_good_each_setting_is_and_ends_in_advice(audit, comparisons, tmp_path):
    answer = audit(comparisons(12), "--vary", "one-order", "--vary", "principles-4")
    assert answer.code == 0
    assert "12 comparisons that people have judged, 4 of them ties" in answer.out
    report = report_of(tmp_path)
    measures = {setting["name"]: setting["measures"] for setting in report["settings"]}
    assert list(measures) == ["baseline", "one-order", "principles-4"]
    for name, found in measures.items():
        agreement, loss = found["agreement"], found["log_loss"]
        line = " ".join(cells(answer, name))
        assert (
            f"{agreement['value']:.1%} [{100 * agreement['low']:.1f}, {100 * agreement['high']:.1f}]" in line
        )
        assert f"{loss['value']:.3f} [{loss['low']:.3f}, {loss['high']:.3f}]" in line
        assert line.endswith(f" {found['tokens']['value']:,.0f}")
    beside = answer.out.partition("beside the baseline")[2]
    for effect in report["effects"]:
        assert f"×{effect['tokens']['value']:.2f} " in beside
    assert "\nadvice: " in answer.out and report["advice"]["reasons"][0] in answer.out
    assert "audit.json" not in answer.err and "40 rows" not in answer.err
    assert f"constitutional show {tmp_path / 'run'}\n" in answer.err


def test_show_prints_the_report_again(audit, comparisons, shown):
    answer = audit(comparisons(6), "--vary", "one-order", "--attack", "choose")
    assert shown().out == answer.out
    assert json.loads(shown("--json").out)["settings"][1]["name"] == "one-order"


def test_json_prints_the_report_and_nothing_else(audit, comparisons, tmp_path):
    answer = audit(comparisons(4), "--vary", "none", "--json")
    assert json.loads(answer.out) == report_of(tmp_path)
    dry = audit(comparisons(5), "--vary", "none", "--json", "--dry-run")
    (cost,) = json.loads(dry.out)["costs"]
    assert (cost["name"], cost["rows"], cost["new"]) == ("baseline", 1, 2)


def test_a_dry_run_has_a_line_a_setting_and_writes_nothing(audit, comparisons, tmp_path):
    answer = audit(comparisons(5), "--dry-run", "--attack", "choose", "--attack-pairs", 2)
    assert answer.code == 0 and not (tmp_path / "run").exists()
    assert cells(answer, "baseline")[:4] == ["baseline", "5", "10", "10"]
    assert cells(answer, "one-order")[:4] == ["one-order", "5", "5", "0"]
    assert cells(answer, "chain-of-thought")[:4] == ["chain-of-thought", "5", "20", "20"]
    assert cells(answer, "chain-of-thought")[-3:] == ["at", "most", f"{5 * 2 * 256:,}"]
    assert cells(answer, "attacks")[:4] == ["attacks", "2", "4", "4"]
    (plan,) = events(answer)
    new = sum(int(line.split()[3].replace(",", "")) for line in answer.out.splitlines()[3:-1])
    assert plan["generations_to_make"] == new > 0 and plan["prompt_tokens"] > 0


def test_settings_of_ones_own_come_from_flags_or_from_a_file(audit, comparisons, tmp_path):
    source = comparisons(3)
    own = ("--setting", "four: principles=4, order_average=logit", "--setting", "bare: examples=0")
    assert audit(source, "--vary", "none", *own).code == 0
    by_flag = report_of(tmp_path)
    assert [setting["name"] for setting in by_flag["settings"]] == ["baseline", "four", "bare"]
    assert by_flag["settings"][1]["changes"] == {"principles": 4, "order_average": "logit"}
    assert by_flag["settings"][1]["flags"] == "--principles 4 --order-average logit"
    config = tmp_path / "audit.yaml"
    config.write_text(
        "vary: [none]\nsettings:\n  four: {principles: 4, order-average: logit}\n  bare: examples=0\n"
    )
    answer = audit(source, "--config", config)
    assert answer.code == 0 and "9 rows kept, 0 to do" in answer.err
    assert report_of(tmp_path) == by_flag


def test_attacks_are_reported_by_kind(audit, comparisons, tmp_path):
    answer = audit(
        comparisons(12), "--vary", "none", "--attack", "threat", "--attack", "bribe", "--attack-pairs", 4
    )
    assert answer.code == 0
    table = answer.out.partition("attacks by the worse response")[2]
    overall = report_of(tmp_path)["attacks"]["overall"]
    lines = {line.split()[0]: line for line in table.splitlines()[2:5]}
    assert lines["threat"].split()[1] == lines["bribe"].split()[1] == "4" and lines["all"].split()[2] == "8"
    assert f" of {overall['flips']['n']}" in lines["all"]
    assert "%" not in lines["threat"]  # of 4 pairs a share says nothing
    without = audit(comparisons(12), "--vary", "none")
    assert without.err.splitlines()[-1].startswith(
        "warning: 8 finished attacks of this run are not part of this"
    )
    assert "  attacks: no longer there (8 rows before)" in without.err


@pytest.mark.parametrize(
    ("weighted", "share", "n", "words"),
    [
        (False, 0.65, 20, "13 of 20: 65%"),
        (True, 0.66, 20, "66% of 20"),
        (False, 0.5, 4, "2 of 4"),
        (True, 0.6, 4, "– of 4"),
    ],
)
def test_flips_are_counted_where_all_pairs_count_alike(weighted, share, n, words):
    kind = {"weighted": weighted, "flips": {"value": share, "low": 0.4, "high": 0.8, "n": n}}
    assert _flipped(kind, "flips", False) == words


def test_attack_without_a_kind_is_every_kind_and_ten_of_them_are_printed(audit, comparisons, tmp_path):
    answer = audit(comparisons(2), "--vary", "none", "--attack-pairs", 1, "--attack")
    assert answer.code == 0
    assert (
        sum(line.split()[:1] != [] and line.split()[0] in ATTACKS for line in answer.out.splitlines()) == 10
    )
    assert f"… and {len(ATTACKS) - 10} more that moved labels less towards it: --json" in answer.out
    assert {kind["kind"] for kind in report_of(tmp_path)["attacks"]["kinds"]} == set(ATTACKS)


def test_attack_in_a_file_is_every_kind_if_true_and_none_if_false(audit, comparisons, tmp_path):
    config, source = tmp_path / "audit.yaml", comparisons(6)
    for given, kinds in (("true", set(ATTACKS)), ("false", set())):
        config.write_text(f"attack: {given}\nattack-pairs: 1\n")
        answer = audit(source, "--config", config, "--rebuild")
        assert answer.code == 0, answer.err
        attacks = report_of(tmp_path)["attacks"] or {"kinds": []}
        assert {one["kind"] for one in attacks["kinds"]} == kinds


def test_a_narrow_terminal_gets_the_columns_that_fit():
    import io

    from rich.console import Console

    from constitutional.cli.show_audit import print_audit

    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100, "clusters": 100}
    names = ("agreement", "log_loss", "brier", "ece", "position", "orders_disagree", "tokens")
    difference = {**estimate, "p": 0.001, "p_adjusted": 0.002}
    kind = {
        "n": 20,
        "unlabelled": 1,
        "flips": estimate,
        "back_flips": None,
        "shift": estimate,
        "few": False,
        "steers": True,
    }
    report = {
        "judge": {"model": "m"}, "constitution": {"id": "c", "version": 1}, "prompt_set": "default",
        "comparisons": {"judged": 100, "ties": 0, "reasons": {}},
        "settings": [
            {"name": name, "flags": "", "measures": dict.fromkeys(names, estimate), "rows": {"ok": 99, "total": 100,
             "reasons": {"too_long": 1}}} for name in ("baseline", "chain-of-thought-3-samples")
        ],
        "effects": [{"setting": "chain-of-thought-3-samples", "n": 99, **dict.fromkeys(names, difference)}],
        "attacks": {"overall": {**kind, "kind": None}, "kinds": [{**kind, "kind": "tokens-end-of-text"}], "unpaired": 0},
        "advice": {"setting": "baseline", "flags": "", "reasons": ["Because. " * 20], "warnings": [{"text": "Beware."}]},
    }  # fmt: skip
    for width in (80, 120, 160, 250):
        stream = io.StringIO()
        console = Console(file=stream, width=width, force_terminal=True, color_system=None, highlight=False)
        from pathlib import Path

        print_audit(console, Path("run"), report)
        lines = stream.getvalue().splitlines()
        assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
        assert ("Brier" in stream.getvalue()) == (width >= 120)
        assert "50.0% [40.0, 60.0]" in stream.getvalue() and "+0.500 [+0.400, +0.600]*" in stream.getvalue()
        assert "baseline: 1 of 100 without a label: too_long 1" in stream.getvalue()


@pytest.mark.parametrize(("p", "star"), [(0.0, "*"), (0.049, "*"), (0.05, " "), (None, " ")])
def test_credible_effects_have_a_star_also_those_whose_p_rounds_to_nothing(p, star):
    import io

    from rich.console import Console

    from constitutional.cli.show_audit import _effects_table

    difference = {"value": -0.5, "low": None, "high": None, "n": 400, "p": p, "p_adjusted": p}
    names = ("agreement", "log_loss", "brier", "ece", "tokens")
    stream = io.StringIO()
    table = _effects_table([{"setting": "x", "n": 400, **dict.fromkeys(names, difference)}], 0)
    Console(file=stream, width=120).print(table)
    assert f"-0.500{star}" in stream.getvalue()


# ---------------------------------------------------------------------- thresholds and outcomes


def test_a_missed_threshold_has_an_exit_code_of_its_own(audit, comparisons):
    source = comparisons(9)
    assert (
        audit(source, "--vary", "none", "--fail-under", "agreement=0", "--fail-over", "log-loss=9").code == 0
    )
    missed = audit(source, "--vary", "none", "--fail-under", "agreement=1.1")
    assert (
        missed.code == 5
        and "agreement of the baseline is" in missed.problem
        and "under the 1.1" in missed.problem
    )
    over = audit(source, "--vary", "none", "--fail-over", "brier=0.0001", "--fail-over", "log_loss=0.0001")
    assert over.code == 5 and over.err.count("error: ") == 2 and "over the 0.0001" in over.err
    assert "advice: " in over.out  # the report comes all the same


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [("flips", 0.5, True), ("shift", 0.2, False), ("steered", 0.1, False)],
)
def test_thresholds_of_attacks_are_of_all_kinds_and_flips_names_the_better_ones(name, value, hint):
    report = {"settings": [{"measures": {}}], "attacks": {"overall": {name: {"value": value}}}}
    _check(report, _thresholds("--fail-over", [f"{name}={value}"], [name]))
    with pytest.raises(ThresholdMissed) as missed:
        _check(report, _thresholds("--fail-over", [f"{name}=0.05"], [name]))
    assert f"{name} of the baseline is {value}, over the 0.05" in str(missed.value)
    assert ("steered= and shift= don't" in str(missed.value)) == hint


def test_what_could_not_be_measured_misses_its_threshold(audit, comparisons):
    ties = [{**row, "probability": 0.5} for row in rows(3)]
    answer = audit(comparisons(ties), "--vary", "none", "--fail-under", "agreement=0")
    assert answer.code == 5 and "could not be measured" in answer.problem


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--fail-under", "agreement"), "MEASURE=VALUE"),
        (("--fail-under", "agreement=high"), "MEASURE=VALUE"),
        (("--fail-under", "agreement=nan"), "MEASURE=VALUE"),
        (("--fail-under", "agrement=0.6"), "did you mean 'agreement'"),
        (("--fail-under", "log-loss=0.6"), "log-loss is for --fail-over"),
        (("--fail-over", "agreement=0.6"), "agreement is for --fail-under"),
        (("--fail-over", "flips=0.2"), "needs --attack"),
        (("--fail-over", "steered=0.2"), "--fail-over steered=… needs --attack"),
        (("--vary", "one-ordr"), "did you mean 'one-order'"),
        (("--vary", "both-orders"), "already"),
        (("--setting", "four"), "NAME: key=value"),
        (("--setting", "x: principle=4"), "did you mean 'principles'"),
        (("--setting", "x: clamp=0.9"), "clamp"),
        (("--setting", "x: clamp=0", "--setting", "x: clamp=0.1"), "given twice"),
        (("--attack", "chose"), "did you mean 'choose'"),
        (("--principles", "99"), "has only 16"),
        (("--clamp", "0.7"), "--clamp"),
    ],
)
def test_wrong_flags_are_named_before_anything_is_done(audit, comparisons, tmp_path, flags, complaint):
    answer = audit(comparisons(2), *flags)
    assert answer.code == 2 and complaint in answer.problem
    assert not (tmp_path / "run").exists()


def test_wrong_files_are_named(audit, comparisons, tmp_path):
    missing = audit(tmp_path / "comparison.jsonl")
    assert missing.code == 2 and "no such file" in missing.problem.lower()
    empty = audit(comparisons([], "empty.jsonl"))
    assert empty.code == 2 and "no rows" in empty.problem
    unjudged = audit(comparisons([{"prompt": "Q", "responses": ["a", "b"]}], "unjudged.jsonl"))
    assert unjudged.code == 2 and "none is a comparison that people have judged" in unjudged.problem


def test_failed_rows_give_exit_code_1_and_say_why(audit, comparisons):
    answer = audit(
        comparisons(3), "--votes", "sampled", "--vary", "none"
    )  # the scripted engine's words are no answer
    assert answer.code == 1
    assert "baseline: 3 of 3 without a label: unreadable_answer 3" in answer.out
    assert "advice: none of these settings can be recommended" in answer.out


def test_the_run_of_another_stage_is_not_replaced(constitutional, audit, comparisons, tmp_path):
    source = comparisons(2)
    constitutional("label", source, *SCRIPTED, "--out", tmp_path / "run")
    answer = audit(source, "--vary", "none")
    assert answer.code == 2 and "a run of 'label'" in answer.problem


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_stores_what_is_in_flight_and_the_same_command_goes_on(start, audit, comparisons, tmp_path):
    source, out, log = comparisons(6), tmp_path / "run", tmp_path / "log"
    flags = ("--vary", "one-order", "--vary", "principles-4", "--slots", 3)
    process = start(
        "audit",
        source,
        *SCRIPTED,
        "--out",
        out,
        *flags,
        "--engine-arg",
        "latency=0.3",
        "--engine-arg",
        f"log={log}",
    )
    until(lambda: log.exists() and len(log.read_text().split()) > 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    asked = log.read_text().split()
    assert len(asked) < 6 * 8 and not (out / "audit.json").exists()
    assert audit(source, *flags, "--engine-arg", f"log={log}").code == 0
    asked = log.read_text().split()
    assert len(asked) == len(set(asked)) == 6 * 8


# ---------------------------------------------------------------------- show


def test_show_prints_a_comparison_under_every_setting(audit, comparisons, shown):
    audit(comparisons(5), "--vary", "one-order", "--attack", "choose")
    answer = shown("c2")
    assert "Question 2?" in answer.out and "One answer, 2." in answer.out
    assert "people: P(the first is better) = 1.000" in answer.out
    found = json.loads(shown("c2", "--json").out)
    assert list(found["settings"]) == ["baseline", "one-order"] and list(found["attack"]) == ["choose"]
    p = found["settings"]["one-order"]["probability"]
    assert cells(answer, "one-order")[1:4] == [f"{p:.3f}", "yes" if p > 0.5 else "no", "1"]
    assert "attack choose by the second" in answer.out
    assert shown("1").out == shown("c0").out
    assert shown("5").out == shown("c4").out  # the fifth comparison, though each has several rows
    assert shown("6").code == 2
    tie = shown("c1")
    assert cells(tie, "baseline")[2] == "–"
    assert shown("c9").code == 2


def test_show_lists_the_rows_of_a_status(audit, comparisons, shown):
    audit(comparisons([*rows(2), {"id": "x", "prompt": "Q", "responses": ["a", "b"]}]), "--vary", "one-order")
    listed = shown("--status", "skipped")
    assert listed.code == 0 and "input: 1 skipped (no_human_label)" in listed.out
    assert listed.out.splitlines()[-1].split()[1:4] == ["x", "skipped:", "no_human_label"]
    assert "nothing says which response people prefer" in shown("x").out or shown("x").code == 0


def test_a_row_that_is_listed_has_its_setting_and_the_number_of_its_comparison(audit, comparisons, shown):
    first, second = rows(2)
    bad = {"id": "bad", "prompt": "Q", "responses": ["a", "b"]}
    audit(comparisons([first, bad, second]), "--vary", "one-order", "--attack", "choose")
    listed = [line.split() for line in shown("--status", "ok").out.splitlines()[-5:]]
    assert [line[:3] for line in listed] == [
        ["1", "c0", "baseline"],
        ["1", "c0", "one-order"],
        ["3", "c1", "baseline"],
        ["3", "c1", "one-order"],
        ["1", "c0", "attack"],
    ]
    assert listed[-1][3:7] == ["choose", "by", "the", "first"]
    assert shown("3").out == shown("c1").out == shown("3", "--status", "ok").out
    assert shown("--status", "skipped").out.splitlines()[-1].split()[:2] == ["2", "bad"]
    assert shown("2").out == shown("bad").out


def test_why_a_comparison_was_skipped_can_be_read_in_full(audit, comparisons, shown):
    source = comparisons([*rows(1), {"id": "bad", "prompt": "Q", "responses": ["a", "b"]}])
    audit(source, "--vary", "none")
    detail = json.loads(shown("bad", "--json").out)["input"]["input"]["detail"]
    assert f"input: {detail}\n" in shown("bad").out


def test_json_of_a_list_is_refused(audit, comparisons, shown):
    audit(comparisons(1), "--vary", "none")
    assert "--json prints one row" in shown("--status", "ok", "--json").problem


def test_a_run_that_is_not_finished_can_be_shown(start, comparisons, tmp_path, shown):
    out, log = tmp_path / "run", tmp_path / "log"
    command = ("audit", comparisons(4), *SCRIPTED, "--out", out, "--slots", 1, "--vary", "one-order")
    start(*command, "--engine-arg", "latency=0.4", "--engine-arg", f"log={log}")
    until(lambda: log.exists() and len(log.read_text().split()) > 2)
    answer = shown()
    assert answer.code == 0 and "No data have been published yet" in answer.out
    assert "setting:one-order: " in answer.out and "P(first)" in answer.out
    assert shown("c3").code == 0


def test_a_damaged_report_is_named_with_what_to_do(audit, comparisons, shown, tmp_path):
    audit(comparisons(2), "--vary", "none")
    (tmp_path / "run" / "audit.json").write_text("{")
    answer = shown()
    assert answer.code == 2 and "audit.json" in answer.problem and "writes it again" in answer.problem
    assert audit(comparisons(2), "--vary", "none").code == 0 and shown().code == 0
    (tmp_path / "run" / "audit.json").unlink()
    assert shown().code == 2


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_a_report_that_is_older_than_the_data_is_said_to_be(
    audit, comparisons, shown, tmp_path, monkeypatch, args
):
    audit(comparisons(3), "--vary", "none", "--attack", "choose", "--attack-pairs", 1)
    assert "older" not in shown(*args).err
    with monkeypatch.context() as patch:
        # as if ended between data and report
        patch.setattr("constitutional.jobs.audit.write_report", lambda out, data, manifest: read_report(out))
        audit(comparisons(3), "--vary", "none", "--attack", "choose", "--attack-pairs", 2)  # no other label
    answer = shown(*args)
    assert "audit.json is older than the run's data: the command that made them" in answer.err
    assert answer.code == 0 and "older" not in answer.out
    audit(comparisons(3), "--vary", "none", "--attack", "choose", "--attack-pairs", 2)
    assert "older" not in shown(*args).err


def test_what_a_user_wrote_stays_text(audit, comparisons, shown):
    evil = "\x1b[31mred\x1b[0m [red]x[/red]\u202e"
    audit(
        comparisons([{"id": evil, "prompt": evil, "responses": [evil, "b"], "probability": 1}]),
        "--vary",
        "none",
    )
    answer = shown("1")
    assert "\x1b" not in answer.out and "\u202e" not in answer.out and "[red]x[/red]" in answer.out


def test_comparisons_taken_for_a_kind_of_attack_are_told_to_stand_before_it(constitutional, comparisons):
    answer = constitutional("audit", "--attack", comparisons(2), *SCRIPTED, "--out", "run")
    assert answer.code == 2 and "put COMPARISONS before --attack" in answer.problem


def test_what_can_be_varied_and_how_it_can_be_attacked_is_listed(constitutional):
    answer = constitutional("audit", "--list")
    assert answer.code == 0
    listed = {line.split()[0] for line in answer.out.splitlines()}
    assert listed == {"--vary:", "--attack:", *VARIATIONS, *ATTACKS}
