"""A mix is a run whose `preferences` load with plain `datasets` and in TRL's trainers; what fails a check is never written."""

import json
import tracemalloc

import pytest

from constitutional import JobOptions, ScriptedEngine
from constitutional.errors import ConfigError, SourceError
from constitutional.jobs.compare import build_comparisons
from constitutional.jobs.label import label_comparisons
from constitutional.jobs.mix import mix_preferences, plan_mix, publish_mix
from constitutional.rundir import RunDirectory, open_ledger, read_manifest, split_files
from constitutional.stages.mix import MixSettings
from constitutional.workbench.run_facts import stage_of
from tests.helpers import PROMPT_SET, REPOSITORY, data_files, run

COLUMNS = ["id", "prompt", "chosen", "rejected", "chosen_probability", "source", "weight"]


@pytest.fixture
def source(tmp_path):
    """A function that writes a file of preferences that passes every check, and gives its path."""

    def write(name, count=200, *more, **fields):
        rows = [
            {
                "prompt": f"{name} {n}?",
                "chosen": f"{name} {'says ' * (n % 2)}{n}",
                "rejected": f"{name} hm {n}",
                **fields,
            }
            for n in range(count)
        ]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that loads a run as a user would."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def load_run(out):
        from datasets import load_dataset

        return load_dataset(str(out), "preferences", cache_dir=str(tmp_path / "cache"))

    return load_run


SETTINGS = MixSettings(test=0.2)


def test_a_mix_has_a_train_and_a_test_split_of_all_its_sources(source, tmp_path, load):
    out = tmp_path / "mix"
    report = mix_preferences({"ours": source("a", 300), "theirs": source("b", 100)}, out, settings=SETTINGS)
    loaded = load(out)
    assert set(loaded) == {"train", "test"} and all(
        split.column_names == COLUMNS for split in loaded.values()
    )
    rows = [row for split in loaded.values() for row in split]
    assert len({row["id"] for row in rows}) == len(rows) == 400
    assert sorted(row["prompt"][0]["content"] for row in rows) == sorted(
        [f"a {n}?" for n in range(300)] + [f"b {n}?" for n in range(100)]
    )
    for row in rows:
        name = {"ours": "a", "theirs": "b"}[row["source"]]
        assert row["id"].startswith(f"{row['source']}/") and (row["chosen_probability"], row["weight"]) == (
            1.0,
            1.0,
        )
        assert [turn["role"] for turn in (*row["prompt"], *row["chosen"], *row["rejected"])] == [
            "user",
            "assistant",
            "assistant",
        ]
        assert row["chosen"][0]["content"].startswith(name) and row["rejected"][0]["content"].startswith(
            f"{name} hm "
        )
    counts = report.manifest["counts"]
    assert counts["splits"]["test"]["rows"] == len(loaded["test"]) and 40 < len(loaded["test"]) < 120
    assert counts["rows"] == {"total": 400, "ok": 400, "skipped": 0, "failed": 0, "reasons": {}}


def test_a_mix_of_hard_labels_can_be_mixed_again_and_one_of_certain_soft_ones_can_not(source, tmp_path):
    whole = MixSettings(test=0)
    mix_preferences({"a": source("a", 200)}, tmp_path / "hard", settings=whole)
    mix_preferences({"a": tmp_path / "hard"}, tmp_path / "again", settings=whole)
    report = mix_preferences({"a": tmp_path / "again"}, tmp_path / "third", settings=whole)
    (found,) = [finding for finding in report.plan.findings if finding.check == "label-distribution"]
    assert found.passed and found.sentence.startswith("hard labels")
    waived = MixSettings(test=0, allow=("label-distribution",))
    mix_preferences({"a": source("b", 200, chosen_probability=1.0)}, tmp_path / "soft", settings=waived)
    with pytest.raises(ConfigError, match="none says how sure it is"):
        mix_preferences({"a": tmp_path / "soft"}, tmp_path / "other", settings=whole)


def test_sources_are_interleaved_evenly(source, tmp_path, load):
    mix_preferences(
        {"a": source("a", 300), "b": source("b", 100)}, tmp_path / "mix", settings=MixSettings(test=0)
    )
    loaded = load(tmp_path / "mix")
    names = loaded["train"]["source"]
    assert set(loaded) == {"train"} and len(names) == 400
    for start in range(0, 400, 4):
        assert sorted(names[start : start + 4]) == ["a", "a", "a", "b"]


def test_the_same_prompt_of_two_sources_is_never_on_both_sides(source, tmp_path, load):
    shared = [{"prompt": f"Shared {n}?", "chosen": f"x {n}", "rejected": f"yes {n}"} for n in range(100)]
    other = [
        {**row, "prompt": f" {row['prompt'].upper()}", "rejected": f"no {row['rejected']}"} for row in shared
    ]
    mix_preferences(
        {"a": source("a", 200, *shared), "b": source("b", 200, *other)}, tmp_path / "mix", settings=SETTINGS
    )
    sides = {
        name: {row["prompt"][0]["content"].strip().lower() for row in split}
        for name, split in load(tmp_path / "mix").items()
    }
    assert not sides["train"] & sides["test"]
    assert all(any(prompt.startswith("shared") for prompt in side) for side in sides.values())


def test_the_same_mix_again_has_the_same_bytes_and_leaves_nothing_over(source, tmp_path):
    sources = {"a": source("a"), "b": source("b")}
    for out in ("one", "one", "two"):
        mix_preferences(sources, tmp_path / out, settings=SETTINGS)
    assert (
        data_files(tmp_path / "one") == data_files(tmp_path / "two")
        and len(data_files(tmp_path / "one")) == 2
    )
    mix_preferences(sources, tmp_path / "one", settings=MixSettings(test=0.2, seed=1))
    assert (
        data_files(tmp_path / "one") != data_files(tmp_path / "two")
        and len(data_files(tmp_path / "one")) == 2
    )


def test_both_splits_survive_the_repair_of_a_run(source, tmp_path):
    out = tmp_path / "mix"
    mix_preferences({"a": source("a")}, out, settings=SETTINGS)
    before = data_files(out)
    (out / "README.md").write_text("spoilt", encoding="utf-8")
    (out / "data" / "preferences" / "partial").write_bytes(b"half")
    with RunDirectory(out):
        pass
    assert data_files(out) == before
    files = split_files(read_manifest(out)["data"]["preferences"])
    assert all(file["path"] in (out / "README.md").read_text(encoding="utf-8") for file in files.values())


def test_ties_are_kept_and_counted_by_split_and_source(source, tmp_path, load):
    ties = [
        {"prompt": f"Tie {n}?", "responses": [f"one {n}", f"other {n}"], "votes": [1, 2]} for n in range(50)
    ]
    report = mix_preferences(
        {"a": source("a", 200, *ties), "b": source("b")}, tmp_path / "mix", settings=SETTINGS
    )
    counts, loaded = report.manifest["counts"], load(tmp_path / "mix")
    for name, split in loaded.items():
        assert counts["splits"][name]["ties"] == sum(p == 0.5 for p in split["chosen_probability"]) > 0
    assert (counts["sources"]["a"]["ties"], counts["sources"]["b"]["ties"]) == (50, 0)


def test_a_ranking_s_pairs_stay_together_and_weigh_one(source, tmp_path, load):
    rankings = [
        {
            "id": f"r{n}",
            "prompt": f"Rank {n}?",
            "responses": [f"{word} {n}" for word in ("a", "bb", "cc", "d")],
            "ranking": [1, 2, 3, 3],
        }
        for n in range(60)
    ]
    mix_preferences({"a": source("a", 200, *rankings)}, tmp_path / "mix", settings=SETTINGS)
    pairs = {}
    for name, split in load(tmp_path / "mix").items():
        for row in split:
            if "#" in row["id"]:
                pairs.setdefault(row["id"].split("#")[0], []).append(
                    (name, row["weight"], row["chosen_probability"])
                )
    assert len(pairs) == 60
    for found in pairs.values():
        assert len({name for name, _, _ in found}) == 1 and len(found) == 6
        assert sum(weight for _, weight, _ in found) == pytest.approx(1)
        assert [p for _, _, p in found].count(0.5) == 1


def test_a_test_split_without_rows_is_left_out_and_a_mix_without_rows_to_train_on_is_refused(
    source, tmp_path, load
):
    """`datasets` can't load a split without rows, nor then the others."""
    few = {"a": source("a", 1)}
    sides = {
        seed: plan_mix(few, settings=MixSettings(test=0.5, seed=seed)).parts[0].test[0] for seed in range(20)
    }
    seeds = {side: next(seed for seed, found in sides.items() if found == side) for side in (True, False)}
    settings = {side: MixSettings(test=0.5, seed=seed, allow=("few-rows",)) for side, seed in seeds.items()}
    mix_preferences(few, tmp_path / "mix", settings=settings[False])
    assert {name: len(split) for name, split in load(tmp_path / "mix").items()} == {"train": 1}
    with pytest.raises(ConfigError, match="nothing to train on: test has 1 row"):
        mix_preferences(few, tmp_path / "other", settings=settings[True])


def test_a_failing_check_writes_nothing_and_names_how_to_waive_it(source, tmp_path):
    out = tmp_path / "mix"
    sources = {"a": source("a"), "same": source("b", 200, {"prompt": "?", "chosen": "x", "rejected": "x"})}
    for dry_run in (True, False):
        with pytest.raises(
            ConfigError, match=r"check identical-responses, same: 1 row .*--allow identical-responses$"
        ):
            mix_preferences(sources, out, settings=SETTINGS, dry_run=dry_run)
    assert not out.exists()
    allowed = MixSettings(test=0.2, allow=("identical-responses",))
    report = mix_preferences(sources, out, settings=allowed)
    waived = [check for check in report.manifest["checks"] if check["state"] == "waived"]
    assert [(check["check"], check["source"]) for check in waived] == [("identical-responses", "same")]
    assert report.manifest["settings"]["allow"] == ["identical-responses"]
    before = data_files(out)
    with pytest.raises(ConfigError):
        mix_preferences(sources, out, settings=SETTINGS)
    assert data_files(out) == before


def test_all_failing_checks_are_named_at_once(source, tmp_path):
    sources = {"a": source("a", 20), "gone": tmp_path / "gone.jsonl", "empty": tmp_path / "empty.jsonl"}
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigError) as caught:
        mix_preferences(sources, tmp_path / "mix", settings=SETTINGS)
    lines = [problem.message for problem in caught.value.problems]
    assert [line.split(":")[0] for line in lines] == [
        "check empty-source, gone",
        "check empty-source, empty",
        "check few-rows",
    ]
    assert "no such file" in lines[0] and "has no rows" in lines[1]
    with pytest.raises(ConfigError) as caught:
        plan_mix(sources, settings=SETTINGS).refuse_failing(briefly=True)
    says = "3 checks fail, so nothing is written. Mend them, or say --allow empty-source --allow few-rows"
    assert str(caught.value) == says


def test_a_missing_source_may_be_waived_and_nothing_at_all_may_not(source, tmp_path):
    gone = tmp_path / "gone.jsonl"
    settings = MixSettings(test=0.2, allow=("empty-source", "few-rows"))
    report = mix_preferences({"a": source("a"), "gone": gone}, tmp_path / "mix", settings=settings)
    assert report.manifest["counts"]["sources"]["gone"]["drawn"] == {"rows": 0, "weight": 0.0}
    with pytest.raises(ConfigError, match="nothing to mix"):
        mix_preferences({"gone": gone}, tmp_path / "other", settings=settings)
    with pytest.raises(ConfigError, match="name at least one source"):
        mix_preferences({}, tmp_path / "other")


def test_a_damaged_source_is_an_error_whatever_is_allowed(source, tmp_path):
    import gzip

    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(source("a", 5000).read_bytes())[:-2000])
    with pytest.raises(SourceError, match="damaged after"):
        mix_preferences({"cut": path}, tmp_path / "mix", settings=MixSettings(allow=("empty-source",)))


def test_a_dry_run_decides_the_same_and_writes_nothing(source, tmp_path):
    sources = {"a": source("a"), "b": source("b")}
    report = mix_preferences(sources, tmp_path / "mix", settings=SETTINGS, dry_run=True)
    assert report.manifest is None and not (tmp_path / "mix").exists()
    assert (
        mix_preferences(sources, tmp_path / "mix", settings=SETTINGS).manifest["counts"]
        == report.plan.counts()
    )


def test_rows_that_could_not_be_used_are_in_the_ledger_with_their_reasons(source, tmp_path):
    bad = [{"prompt": "Only this?"}, {"prompt": "?", "responses": ["a", "b"]}]
    report = mix_preferences({"a": source("a", 200, *bad)}, tmp_path / "mix", settings=SETTINGS)
    assert report.manifest["counts"]["rows"]["reasons"] == {"missing_responses": 1, "no_label": 1}
    ledger = open_ledger(tmp_path / "mix")
    found = [(row.kind, row.status, row.reason, row.detail.split(":")[1]) for row in ledger.rows()]
    ledger.close()
    assert found == [
        ("mix:a", "skipped", "missing_responses", "201"),
        ("mix:a", "skipped", "no_label", "202"),
    ]


def test_a_change_of_what_is_skipped_alone_is_found_too(source, tmp_path):
    path = source("a", 200, {"prompt": "Only this?"})
    plan = plan_mix({"a": path}, settings=SETTINGS)
    changed = path.read_text(encoding="utf-8").replace('"Only this?"', '"?", "responses": ["a", "b"]')
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(SourceError, match="changed while it was read"):
        publish_mix(plan, tmp_path / "mix")
    assert read_manifest(tmp_path / "mix") is None


@pytest.mark.parametrize("change", ["reword", "shorten", "extend"])
def test_a_source_that_changes_while_it_is_read_is_found(source, tmp_path, change):
    path = source("a")
    plan = plan_mix({"a": path}, settings=SETTINGS)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if change == "reword":
        lines[120] = lines[120].replace("hm", "hum")
    path.write_text(
        "".join({"reword": lines, "shorten": lines[:-1], "extend": [*lines, lines[0]]}[change]),
        encoding="utf-8",
    )
    with pytest.raises(SourceError, match="changed while it was read"):
        publish_mix(plan, tmp_path / "mix")
    assert read_manifest(tmp_path / "mix") is None


def test_another_stage_s_run_and_a_source_are_never_replaced(source, prompts_file, tmp_path):
    other = tmp_path / "sl-cai"
    run(prompts_file(2), other)
    before = data_files(other)
    with pytest.raises(ConfigError, match="holds a run of revise"):
        mix_preferences({"a": source("a")}, other)
    (other / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="holds a run of another stage"):
        mix_preferences({"a": source("a")}, other)
    assert data_files(other) == before
    mine = tmp_path / "mix"
    mix_preferences({"a": source("a")}, mine, settings=SETTINGS)
    with pytest.raises(ConfigError, match="is the source 'old' itself"):
        mix_preferences({"old": mine, "b": source("b")}, mine)


@pytest.mark.parametrize("rebuild", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("stage", ["compare", "label", "revise"])
def test_no_other_stage_replaces_a_mix(source, prompts_file, tmp_path, stage, dry_run, rebuild):
    mine = tmp_path / "mix"
    mix_preferences({"a": source("a")}, mine, settings=SETTINGS)
    before = data_files(mine)
    options = JobOptions(dry_run=dry_run, rebuild=rebuild)
    common = {"engine": ScriptedEngine(), "prompt_set": PROMPT_SET, "options": options}
    with pytest.raises(ConfigError, match=f"is a run of 'mix', which one of '{stage}' would replace"):
        if stage == "compare":
            build_comparisons(prompts_file(2), mine, **common)
        elif stage == "label":
            label_comparisons(tmp_path / "a.jsonl", "harmlessness", mine, **common)
        else:
            run(prompts_file(2), mine, options=options)
    assert data_files(mine) == before and read_manifest(mine)["stage"] == "mix"
    mix_preferences({"a": source("a")}, mine, settings=SETTINGS)
    assert data_files(mine) == before
    assert stage_of(mine) == "mix"


def test_a_split_of_no_source_is_refused(source, tmp_path):
    with pytest.raises(ConfigError, match="unknown source 'helpfull'; did you mean 'helpful'"):
        mix_preferences({"helpful": source("a")}, tmp_path / "mix", splits={"helpfull": "test"})
    assert not (tmp_path / "mix").exists()


def test_a_mix_is_a_source_of_which_either_split_can_be_read(source, tmp_path):
    mix_preferences({"a": source("a", 400)}, tmp_path / "mix", settings=SETTINGS)
    settings = MixSettings(test=0, allow=("label-distribution", "few-rows"))
    rows = {}
    for split in ("train", "test"):
        plan = plan_mix({"old": tmp_path / "mix"}, splits={"old": split}, settings=settings)
        rows[split] = plan.parts[0].rows
    counts = read_manifest(tmp_path / "mix")["counts"]["splits"]
    assert rows == {name: counts[name]["rows"] for name in rows}
    again = plan_mix(
        {"old": tmp_path / "mix"}, settings=SETTINGS
    )  # the same seed would hold out what is gone
    (few,) = (finding for finding in again.findings if finding.check == "few-rows")
    assert few.figures["test"] == 0 and "held them out of old already: another --seed" in few.sentence
    other = plan_mix({"old": tmp_path / "mix"}, settings=SETTINGS.model_copy(update={"seed": 1}))
    assert other.counts()["splits"]["test"]["rows"] > 20
    with pytest.raises(ConfigError, match="no split 'tset'"):
        mix_preferences({"old": tmp_path / "mix"}, tmp_path / "x", splits={"old": "tset"})


def test_memory_does_not_grow_with_the_texts(source):
    """Sixteen megabytes of text pass through two."""
    path = source("a", 400, padding=None)
    long = [
        {**row, "rejected": row["rejected"] + " and so on" * 4000}
        for row in map(json.loads, path.read_text().splitlines())
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in long), encoding="utf-8")
    assert path.stat().st_size > 16e6
    plan_mix({"a": path})  # imports
    tracemalloc.start()
    plan = plan_mix({"a": path})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.parts[0].rows == 400 and peak < 2e6


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """AI labels of the first harmless pairs, by a scripted judge."""
    pairs = REPOSITORY.parent / "shared" / "data" / "hh-rlhf" / "harmless-base.jsonl.gz"
    if not pairs.exists():
        pytest.skip("the real data are not on this machine")
    out = tmp_path_factory.mktemp("runs") / "labels"
    label_comparisons(pairs, "harmlessness", out, engine=ScriptedEngine(), prompt_set=PROMPT_SET, limit=400)
    return out


@pytest.fixture(scope="module")
def real_mix(labels, tmp_path_factory):
    """AI-labelled harmlessness and human helpfulness, half and half."""
    panda = REPOSITORY.parent / "shared" / "data" / "pandalm" / "testset-v1.json"
    out = tmp_path_factory.mktemp("runs") / "mix"
    sources = {"harmlessness": labels, "helpfulness": panda}
    settings = MixSettings(proportions={"harmlessness": 0.5}, test=0.1, allow=("leakage",))
    return mix_preferences(sources, out, settings=settings)


def test_ai_harmlessness_and_human_helpfulness_make_a_mix_of_soft_labels(real_mix, labels, load):
    manifest = real_mix.manifest
    counts = manifest["counts"]["sources"]
    assert counts["harmlessness"]["drawn"]["rows"] == counts["helpfulness"]["drawn"]["rows"] > 350
    assert manifest["sources"]["harmlessness"]["run"]["stage"] == "label"
    assert manifest["sources"]["harmlessness"]["run"]["constitution"]["id"] == "harmlessness"
    soft = {"harmlessness": set(), "helpfulness": set()}
    for split in load(real_mix.out).values():
        for row in split:
            soft[row["source"]].add(round(row["chosen_probability"], 6))
    assert soft["helpfulness"] == {round(sixths / 6, 6) for sixths in (3, 4, 5, 6)}
    assert len(soft["harmlessness"]) > 100


def trainer_data(out, load, count=8):
    """A few short rows of both sources, unmodified."""
    loaded = load(out)["train"]
    short = loaded.filter(
        lambda row: (
            sum(len(turn["content"]) for name in ("prompt", "chosen", "rejected") for turn in row[name]) < 600
        )
    )
    names = short["source"][: 4 * count]
    picked = [names.index(name) for name in sorted(set(names))] + list(range(count))
    return short.select(sorted(set(picked)))


def test_trl_s_reward_trainer_takes_a_step_on_the_mix_as_it_is(real_mix, tmp_path, load):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    from tests.tiny import tiny_model

    folder = tiny_model(tmp_path / "model", context=2048)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype="float32")
    data = trainer_data(real_mix.out, load)
    assert set(data["source"]) == {"harmlessness", "helpfulness"}
    arguments = RewardConfig(str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to=[], max_length=2048)  # fmt: skip
    trainer = RewardTrainer(
        model, args=arguments, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(folder)
    )
    assert len(trainer.train_dataset) == len(data)
    before = model.score.weight.detach().clone()
    assert 0 < trainer.train().training_loss < 20
    assert not before.equal(model.score.weight)


def test_trl_s_dpo_trainer_takes_a_step_on_the_mix_as_it_is(real_mix, tmp_path, load):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    from tests.tiny import tiny_model

    folder = tiny_model(tmp_path / "model", context=2048)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    data = trainer_data(real_mix.out, load)
    arguments = DPOConfig(str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to=[], max_length=2048)  # fmt: skip
    trainer = DPOTrainer(
        model, args=arguments, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(folder)
    )
    assert len(trainer.train_dataset) == len(data)
    before = model.lm_head.weight.detach().clone()
    assert 0 < trainer.train().training_loss < 20
    assert not before.equal(model.lm_head.weight)


def test_pandalm_s_pair_that_stands_there_twice_is_on_one_side(real_data):
    """Two of its rows hold the same two responses, one of them under a mangled instruction."""
    panda = {"panda": real_data / "pandalm" / "testset-v1.json"}
    (leak,) = (finding for finding in plan_mix(panda).findings if finding.check == "leakage")
    assert (leak.state, leak.figures["leaked"]) == ("pass", 0)
    plan = plan_mix(panda, settings=MixSettings(allow=("leakage",)))
    (leak,) = (finding for finding in plan.findings if finding.check == "leakage")
    assert (leak.state, leak.figures["leaked"]) == ("waived", 1)
    rows = json.loads((real_data / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    one, other = (int(words.split()[0]) - 1 for words in leak.sentence.split("panda row ")[1:])
    assert rows[one]["instruction"] != rows[other]["instruction"]
    assert {rows[one]["response1"], rows[one]["response2"]} == {
        rows[other]["response1"],
        rows[other]["response2"],
    }
