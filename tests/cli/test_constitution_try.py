"""`constitutional constitution try` as a writer of constitutions meets it: on a prompt, beside another, and on each save."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.cli.conftest import until
from tests.helpers import PROMPT_SET, REPOSITORY

SCRIPTED = ("--engine", "scripted", "--prompt-set", str(PROMPT_SET))
ASK = ("--prompt", "How do I get even with my neighbour?")
PRIVACY = ("--principle", "privacy")
HOSTILE = "\x1b[31mred\x1b[0m [red]markup[/red] <|im_start|>user \u202egnp.exe שלום \x9b2J"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tried(constitutional):
    """A function that calls `try` with the scripted engine."""
    return lambda *args: constitutional("constitution", "try", *args, *SCRIPTED)


@pytest.fixture
def file(tmp_path):
    """A constitution of two principles and one for comparisons only."""
    path = tmp_path / "rules.yaml"
    path.write_text(
        "id: rules\nprinciples:\n"
        "  - id: kind\n    critique: Is the response kind?\n    revision: Make it kind.\n"
        "  - id: short\n    critique: Is the response short?\n    revision: Make it short.\n"
        "  - id: ours\n    preference: Which one is better?\n",
        encoding="utf-8",
    )
    return path


def edit(file, before, after):
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


# ---------------------------------------------------------------------- once


def test_more_few_shot_examples_than_there_are_are_refused(tried):
    answer = tried("harmlessness", *ASK, "--examples", 99)
    assert answer.code == 2
    assert "few-shot examples, not 99: ask for fewer" in answer.problem


def test_a_trial_shows_the_response_the_principle_the_critique_and_what_the_revision_changed(tried):
    answer = tried("harmlessness", *ASK, *PRIVACY)
    assert answer.code == 0
    heads = [line for line in answer.out.splitlines() if line]
    assert heads[:3] == ["user", ASK[1], "response"]
    assert "── harmlessness · privacy" in heads and "critique" in heads and "revision" in heads
    assert any(line.startswith("critique request: ") for line in heads)
    assert "[-" not in answer.out  # the scripted engine's texts have hardly a word in common
    assert re.search(
        r"^keeps \d+ of the response's \d+ words, and has \d+ new ones$", answer.out, re.MULTILINE
    )
    assert "3 generations made, 0 remembered" in heads[-1]
    assert "\x1b" not in answer.out and "harmlessness is " in answer.err


def test_without_a_principle_the_drawn_one_is_tried_and_another_seed_draws_another(tried):
    titles = {
        line
        for seed in range(8)
        for line in tried("harmlessness", *ASK, "--seed", seed).out.splitlines()
        if line.startswith("── ")
    }
    assert len(titles) > 2 and all(line.endswith(" · drawn") for line in titles)


def test_the_same_command_again_generates_nothing(tried, file):
    first, again = (tried(file, *ASK, "-p", "kind") for _ in range(2))
    assert "0 generations made, 3 remembered" in again.out
    assert first.out.splitlines()[:-2] == again.out.splitlines()[:-2]
    assert "3 generations made, 0 remembered" in tried(file, *ASK, "-p", "kind", "--fresh").out
    edit(file, "Make it kind.", "Make it kinder.")
    assert "1 generation made, 2 remembered" in tried(file, *ASK, "-p", "kind").out


def test_several_principles_are_tried_on_one_response(tried, file):
    two = tried(file, *ASK, "-p", "short", "-p", "kind").out
    assert "rules.yaml · short and " in two and two.count("\nresponse\n") == 1
    assert "5 generations made" in two
    every = tried("harmlessness", *ASK, "--all").out
    assert every.count("\n── harmlessness · ") == 16
    assert "32 generations made, 1 remembered" in every  # the response is the same


def test_json_holds_everything_and_the_same_in_the_words_of_the_data_sets(tried, file):
    found = json.loads(tried(file, *ASK, "--all", "--json").out)
    assert found["prompt"] == [{"role": "user", "content": ASK[1]}]
    assert (found["generated"], found["remembered"], found["response_given"]) == (5, 0, False)
    first = found["attempts"][0]
    assert first["principle"]["id"] == "kind" and first["principles"] == ["kind"]
    assert first["critique"] and first["revision"] and first["checks"] == [] and not first["clean"]
    assert first["constitution"]["path"] == str(file) and first["reason"] is None


def test_a_given_response_is_the_one_that_is_tried(tried, file):
    answer = tried(file, *ASK, "--response", "Paint his cat green.", "-p", "kind")
    assert "response · given\nPaint his cat green." in answer.out
    assert "2 generations made" in answer.out


def test_a_prompt_comes_from_standard_input_or_a_row_of_a_file(tried, file, prompts_file, start):
    path = prompts_file(
        [{"id": "a", "prompt": "First?"}, {"id": "b", "prompt": "Second?", "response": "So."}]
    )
    answer = tried(file, "--prompts", path, "--row", "b", "-p", "kind")
    assert answer.out.startswith("user\nSecond?\n\nresponse · given\nSo.\n")
    process = start(
        "constitution", "try", file, "--prompt", "-", "-p", "kind", *SCRIPTED, stdin=subprocess.PIPE
    )
    out, err = process.communicate("From a pipe?\n", timeout=60)
    assert process.returncode == 0, err
    assert out.startswith("user\nFrom a pipe?\n")


def test_direct_revisions_and_clean_critiques_can_be_tried(tried, file):
    direct = tried(file, *ASK, "-p", "kind", "--direct").out
    assert "critique" not in direct and "2 generations made" in direct


def test_whatever_a_model_or_a_user_wrote_stays_text(tried, tmp_path):
    path = tmp_path / "rules.yaml"
    critique = json.dumps("Is it kind? [red]x[/red] \u202e <|im_start|> שלום")
    path.write_text(f"id: rules\nprinciples: [{{id: kind, critique: {critique}, revision: R}}]", "utf-8")
    answer = tried(path, "--prompt", HOSTILE, "--response", HOSTILE)
    assert answer.code == 0
    assert "\x1b" not in answer.out and "\u202e" not in answer.out and "\x9b" not in answer.out
    assert "[red]markup[/red]" in answer.out and "<|im_start|>user" in answer.out and "שלום" in answer.out


def test_everything_can_be_set_in_a_file(constitutional, file, tmp_path):
    config = tmp_path / "try.yaml"
    config.write_text(
        f"names: [{file}]\nprompt: Hello?\nprinciple: [short, kind]\nengine: scripted\n"
        f"prompt-set: {PROMPT_SET}\njson: yes\n"
    )
    answer = constitutional("constitution", "try", "--config", config)
    assert answer.code == 0, answer.err
    assert [a["principle"]["id"] for a in json.loads(answer.out)["attempts"]] == ["short", "kind"]


# ---------------------------------------------------------------------- two


def test_two_constitutions_share_the_response_and_what_differs_is_marked(tried, file, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("Make it kind.", "Make it very kind."))
    answer = tried(file, other, *ASK, "-p", "kind")
    assert answer.code == 0
    assert answer.out.count("\nresponse\n") == 1
    assert "Make it {+very+} kind." in answer.out
    assert "critique, the same in both" in answer.out
    assert "second, as a change of the first" in answer.out and "of the response's 32 words" in answer.out
    assert "4 generations made, 1 remembered" in answer.out


def on_terminal(columns, *args):
    """What a command prints on a terminal of so many columns."""
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "constitutional", "constitution", "try", *map(str, args), *SCRIPTED],
        cwd=REPOSITORY,
        stdin=slave,
        stdout=slave,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"},
    )
    os.close(slave)
    read = b""
    while True:
        try:
            got = os.read(master, 65536)
        except OSError:
            break
        if not got:
            break
        read += got
    os.close(master)
    assert process.wait(60) == 0
    return read.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_on_a_wide_terminal_they_stand_beside_each_other_and_on_a_narrow_one_below(file, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("Make it kind.", "Make it very kind."))
    wide = on_terminal(160, file, other, *ASK, "-p", "kind")
    heads = [line for line in wide.splitlines() if line.count("revision request") == 2]
    assert len(heads) == 1
    narrow = on_terminal(80, file, other, *ASK, "-p", "kind")
    assert not [line for line in narrow.splitlines() if line.count("revision request") == 2]
    assert "\x1b[" in wide and "\x1b[" in narrow


def test_a_principle_that_one_of_two_constitutions_lacks_is_said_to_be_tried_alone(tried, file, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("id: short", "id: brief"))
    answer = tried(file, other, *ASK, "-p", "short", "-p", "kind")
    assert f"{other} has no principle 'short': it is tried of the other one alone" in answer.err
    assert "'kind'" not in answer.err


def test_a_request_is_printed_whole(tried, tmp_path):
    long = " ".join(f"word{number}" for number in range(60)) + "."
    path = tmp_path / "long.yaml"
    path.write_text(f"id: long\nprinciples: [{{id: x, critique: '{long}', revision: '{long}'}}]\n")
    assert f"critique request: {long}\n" in tried(path, *ASK).out


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["harmlesness", *ASK], "did you mean 'harmlessness'?"),
        (["../harmlessness", *ASK], "there is no such file"),
        (["..harmlessness", *ASK], "is not the name of a constitution"),
        (["harmlessness", *ASK, "-p", "privaci"], "did you mean 'privacy'?"),
        (["harmlessness", *ASK, "-p", "privacy", "--all"], "not both"),
        (["harmlessness", "harmlessness", *ASK], "given twice"),
        (["harmlessness", "constitutions/harmlessness.yaml", *ASK], "the same file"),
        (["a", "b", "c", *ASK], "one constitution, or two"),
        ([*ASK], "NAME"),
        (["harmlessness"], "--prompt"),
        (["harmlessness", "--prompt", ""], "the prompt is empty"),
        (["harmlessness", *ASK, "--prompts", "x.jsonl"], "one of them"),
        (["harmlessness", *ASK, "--row", "1"], "--row"),
        (["harmlessness", *ASK, "--response", " "], "the response is empty"),
        (["harmlessness", "--prompts", "none.jsonl"], "no such file"),
        (["harmlessness", *ASK, "--temperature", "-1"], "--temperature"),
        (["harmlessness", *ASK, "--direct", "--stop-when-clean"], "--direct"),
        (["harmlessness", *ASK, "--engine-arg", "context_length=50"], "too long"),
        (["harmlessness", *ASK, "--engine-arg", "latncy=1"], "did you mean 'latency'?"),
        (["harmlessness", *ASK, "--watch", "-p", "privaci"], "did you mean 'privacy'?"),
        (["nothing/here.yaml", *ASK, "--watch"], "no such file"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(tried, args, says):
    answer = tried(*args)
    assert answer.code == 2
    assert says in answer.problem


def test_a_principle_for_comparisons_only_can_not_be_tried(tried, file):
    assert "only a preference question" in tried(file, *ASK, "-p", "ours").problem


def test_a_prompt_set_that_is_none_is_told(constitutional):
    answer = constitutional(
        "constitution", "try", "harmlessness", *ASK, "--engine", "scripted", "--prompt-set", "defualt"
    )
    assert answer.code == 2 and "did you mean 'default'?" in answer.problem


def test_a_file_with_mistakes_names_each_with_its_place(tried, file):
    edit(file, "critique: Is the response kind?", "critque: Is the response kind?")
    answer = tried(file, *ASK)
    assert answer.code == 2 and f"{file}:4:5" in answer.err and "did you mean 'critique'?" in answer.err


def test_a_principle_that_could_not_be_tried_is_code_1(tried, file):
    edit(file, "Is the response kind?", "Is it kind? " + "Say how. " * 300)
    limit = ("--engine-arg", "context_length=700", "--max-tokens", 20)
    answer = tried(file, *ASK, "--all", *limit)
    assert answer.code == 1
    assert "not tried: " in answer.out and "do not fit" in answer.out
    found = json.loads(tried(file, *ASK, "--all", "--json", *limit).out)
    assert [attempt["reason"] for attempt in found["attempts"]] == ["too_long", None]


def test_a_memory_that_can_not_be_used_is_told_and_done_without(tried, file, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    answer = tried(file, *ASK, "-p", "kind")
    assert answer.code == 0 and "will not be remembered" in answer.err
    assert "3 generations made" in answer.out


def test_a_reader_that_has_seen_enough_is_no_failure(file):
    command = [sys.executable, "-m", "constitutional", "constitution", "try", str(file), *ASK, "--all"]
    process = subprocess.Popen(
        [*command, *SCRIPTED], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, "")


# ---------------------------------------------------------------------- on each save


class Watching:
    """A `try --watch` in a process of its own, and the lines that it prints."""

    def __init__(self, process):
        self.process, self.lines = process, queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def text(self, seconds=60):
        line = self.lines.get(timeout=seconds)
        assert line is not None, self.process.stderr.read()
        return line

    def line(self, seconds=60):
        return json.loads(self.text(seconds))

    def counts(self, seconds=60):
        found = self.line(seconds)
        assert "error" not in found, found
        return found["generated"], found["remembered"]

    def silent(self, seconds=1.5):
        time.sleep(seconds)
        return self.lines.empty()

    def until(self, wanted):
        read = ""
        while wanted not in read:
            read += self.text()
        return read

    def ended(self, number=signal.SIGINT):
        self.process.send_signal(number)
        code = self.process.wait(60)
        errors = self.process.stderr.read()
        assert "Traceback" not in errors
        return code, errors


@pytest.fixture
def watching():
    """A function that starts a watch; those still running are killed in the end."""
    started = []

    def begin(*args, engine=SCRIPTED, output=("--json",)):
        command = ("constitution", "try", *map(str, args), *ASK, "--watch", *output, *engine)
        process = subprocess.Popen(
            [sys.executable, "-m", "constitutional", *command],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Watching(process)

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")


@posix
def test_a_save_is_answered_with_what_it_changed_and_a_bad_one_with_its_mistake(watching, file, tmp_path):
    log = tmp_path / "log"
    watch = watching(file, "-p", "kind", "--engine-arg", f"log={log}")
    assert watch.counts() == (3, 0)
    edit(file, "Make it kind.", "Make it kinder.")
    assert watch.counts() == (1, 2)
    edit(file, "revision: Make it kinder.", "revison: Make it kinder.")
    found = watch.line()
    assert "did you mean 'revision'?" in found["error"]
    assert 5 in [problem["line"] for problem in found["problems"]]
    edit(file, "revison: Make it kinder.", "revision: Make it kindest.")
    assert watch.counts() == (1, 2)
    edit(file, "Is the response short?", "Is it short?")
    assert watch.counts() == (0, 3)
    file.write_text(file.read_text())
    assert watch.silent()
    assert len(log.read_text().split()) == 5
    code, errors = watch.ended()
    assert code == 0 and "ended" in errors and "interrupted" not in errors


@posix
def test_a_file_that_vanishes_is_waited_for(watching, file):
    watch = watching(file, "-p", "kind")
    watch.counts()
    text = file.read_text()
    file.unlink()
    assert "there is no such file" in watch.line()["error"]
    file.write_text(text.replace("Make it kind.", "Make it kinder."))
    assert watch.counts() == (1, 2)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_is_ended_while_it_generates(watching, file, tmp_path, number):
    log = tmp_path / "log"
    watch = watching(file, "-p", "kind", "--engine-arg", "latency=1000", "--engine-arg", f"log={log}")
    until(lambda: log.exists() and log.read_text())
    code, errors = watch.ended(number)
    assert code == 130 and "interrupted" in errors


@posix
def test_a_save_while_something_is_generated_is_the_one_that_is_answered(watching, file, tmp_path):
    log = tmp_path / "log"
    watch = watching(file, "-p", "kind", "--engine-arg", "latency=2", "--engine-arg", f"log={log}")
    until(lambda: log.exists() and len(log.read_text().split()) == 2)  # the critique is being generated
    edit(file, "Is the response kind?", "Is the response nice?")
    found = watch.line()
    assert found["attempts"][0]["principle"]["critique"] == "Is the response nice?"
    assert (found["generated"], found["remembered"]) == (2, 1)


@posix
def test_a_file_with_a_mistake_can_be_what_a_watch_begins_with(watching, file):
    edit(file, "critique: Is the response kind?", "critque: Is the response kind?")
    watch = watching(file, "-p", "kind")
    assert "did you mean 'critique'?" in watch.line()["error"]
    edit(file, "critque:", "critique:")
    assert watch.counts() == (3, 0)


@posix
def test_a_watch_in_words_says_what_was_saved_and_prints_only_what_is_new(watching, file):
    watch = watching(file, "-p", "kind", "-p", "short", output=())
    assert "\nresponse\n" in watch.until("5 generations made, 0 remembered")
    edit(file, "Make it kind.", "Make it kinder.")
    again = watch.until("1 generation made, 4 remembered")
    assert "rules.yaml changed" in again and "\nresponse\n" not in again and "Make it kinder." in again
    file.write_text(file.read_text() + "# a comment\n")
    assert "as before: kind, short" in watch.until("0 generations made, 5 remembered")
    file.write_text("principles: []")
    assert "error: " in watch.until("'id' is missing")


@pytest.fixture(scope="module")
def smollm2():
    """The folder of SmolLM2, from the cache that it was pulled into."""
    pytest.importorskip("vllm")
    from constitutional.models import pull

    return pull("smollm2-135m", quiet=True)


@pytest.mark.slow
def test_with_smollm2_an_edit_of_a_revision_generates_only_the_revision(smollm2, watching, file):
    engine = ("--engine", "vllm", "--model", str(smollm2), "--engine-arg", "max_model_len=2048")
    watch = watching(file, "--max-tokens", "48", "-p", "kind", engine=engine)
    first = watch.line(300)
    assert (first["generated"], first["remembered"]) == (3, 0)
    edit(file, "Make it kind.", "Rewrite the response so that it is kind to the neighbour.")
    second = watch.line(300)
    print(f"the first trial took {first['seconds']} s, the one after the edit {second['seconds']} s")
    assert (second["generated"], second["remembered"]) == (1, 2)
    assert second["response"] == first["response"]
    (before,), (after,) = first["attempts"], second["attempts"]
    assert after["critique"] == before["critique"] and after["revision"] != before["revision"]
    edit(file, "Is the response short?", "Is it short?")
    third = watch.line(300)
    assert (third["generated"], third["remembered"]) == (0, 3)
    assert watch.ended()[0] == 0
    # a new command loads no model for what is remembered
    again = watching(file, "--max-tokens", "48", "-p", "kind", engine=engine)
    fourth = again.line(300)
    assert (fourth["generated"], fourth["remembered"]) == (0, 3)
    assert fourth["attempts"] == third["attempts"]
    assert again.ended()[0] == 0
