"""Each format, read and written: what becomes of its parts, and what is reported."""

import json
from pathlib import Path

import pytest

from constitutional import Constitution, Message, Principle, load_constitution
from constitutional.errors import ConfigError, ConstitutionError, TemplateError
from constitutional.prompt_examples import Example, load_preference_examples
from constitutional.workbench.formats.exporting import (
    EXPORTS,
    export_constitution,
    export_examples,
    export_file,
)
from constitutional.workbench.formats.importing import Imported, import_files, write_imported
from constitutional.workbench.formats.notes import MAX_LINES, Note, summary
from constitutional.workbench.formats.table import FORMATS
from constitutional.workbench.formats.yaml_writer import (
    examples_yaml,
    preference_examples_yaml,
    write_constitution,
)
from tests.helpers import REPOSITORY

LABELS = ("Critique", "Revision", "Options", "Human", "Assistant", "H", "A")


@pytest.fixture
def written(tmp_path):
    """A function that writes a file: text as it is, anything else as JSON."""

    def write(content, name="in.json"):
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(text.encode())
        return path

    return write


def read(*paths, **options):
    return import_files(paths, id="imported", **options)


def principles(imported):
    return imported.constitution.principles


def refusal(*paths, **options):
    with pytest.raises((ConstitutionError, ConfigError)) as caught:
        read(*paths, **options)
    return str(caught.value)


def told(imported):
    return [(note.kind, note.place and (note.place.field or note.place.line)) for note in imported.notes]


# ------------------------------------------------------------- the paper's own files


def paper(real_data, name):
    return real_data / "cai-paper" / "prompts" / f"{name}.json"


def has_label(text):
    return any(f"{label}:" in text.replace("Request", "") for label in LABELS)


def test_the_papers_critique_and_revision_requests_are_16_principles(real_data):
    found = read(paper(real_data, "CritiqueRevisionInstructions"))
    assert found.formats == ("paper-revisions",)
    assert [p.id for p in principles(found)] == [f"harmful{n}" for n in range(16)]
    assert len(found.constitution.for_revise()) == 16
    assert not any(has_label(p.critique) or has_label(p.revision) or p.preference for p in principles(found))
    assert len(found.notes) == 64 and {note.kind for note in found.notes} == {"stripped"}
    assert len(summary(found.notes)) == 4


def test_the_papers_preference_questions_are_16_principles(real_data):
    found = read(paper(real_data, "RLMadisonInstructions"))
    assert found.formats == ("paper-preferences",)
    assert [p.id for p in principles(found)] == [f"preference-{n}" for n in range(1, 17)]
    assert len(found.constitution.for_label()) == 16
    assert not any(has_label(p.preference) or p.critique for p in principles(found))


def test_the_papers_few_shot_files_are_5_and_5_and_6_examples(real_data):
    revisions = read(paper(real_data, "CritiqueRevisionFewShotPrompts"))
    assert (revisions.formats, len(revisions.examples)) == (("paper-revision-examples",), 5)
    assert [len(example.prompt) for example in revisions.examples] == [3, 1, 1, 3, 3]
    preferences = read(paper(real_data, "RLMadisonFewShotPrompts"))
    assert (preferences.formats, len(preferences.preference_examples)) == (("paper-preference-examples",), 5)
    assert [example.answer for example in preferences.preference_examples] == list("ABABA")
    reasoned = read(paper(real_data, "RLMadisonPrecogFewShotPrompts"))
    assert (reasoned.formats, len(reasoned.preference_examples)) == (("paper-rationale-examples",), 6)
    assert [example.answer for example in reasoned.preference_examples] == list("BBABAB")
    assert [len(example.prompt) for example in reasoned.preference_examples] == [3, 1, 1, 1, 1, 1]
    said = [
        text
        for e in revisions.examples
        for text in (e.response, e.critique_request, e.critique, e.revision_request, e.revision)
    ] + [
        text
        for e in (*preferences.preference_examples, *reasoned.preference_examples)
        for text in (*e.responses, e.rationale or "x")
    ]
    said += [
        turn.content
        for e in (*revisions.examples, *preferences.preference_examples, *reasoned.preference_examples)
        for turn in e.prompt
    ]
    assert all(text and text == text.strip() for text in said)
    assert not any(has_label(f"{line.split(' ')[0]} ") for text in said for line in text.splitlines())
    assert all(example.rationale for example in reasoned.preference_examples)
    assert not any(
        "step by step" in e.rationale or "[[[" in e.rationale for e in reasoned.preference_examples
    )


@pytest.mark.parametrize("name", ["CritiqueRevisionInstructions", "RLMadisonInstructions"])
def test_the_papers_principles_come_back_exactly(real_data, written, name):
    first = read(paper(real_data, name))
    out = export_constitution(first.constitution, first.formats[0])
    assert out.notes == () and out.count == 16
    assert read(written(out.text)).constitution == first.constitution


@pytest.mark.parametrize(
    "name", ["CritiqueRevisionFewShotPrompts", "RLMadisonFewShotPrompts", "RLMadisonPrecogFewShotPrompts"]
)
def test_the_papers_examples_come_back_exactly(real_data, written, name):
    first = read(paper(real_data, name))
    out = export_examples(first.examples or first.preference_examples, first.formats[0])
    again = read(written(out.text))
    assert out.notes == ()
    assert (again.examples, again.preference_examples) == (first.examples, first.preference_examples)


def test_the_papers_two_files_become_one_constitution_that_pretends_no_alignment(real_data, tmp_path):
    found = read(
        paper(real_data, "CritiqueRevisionInstructions"), paper(real_data, "RLMadisonInstructions")
    ).constitution
    assert len(found.for_revise()) == len(found.for_label()) == 16 and len(found.principles) == 32
    write_constitution(found, tmp_path / "both.yaml")
    loaded = load_constitution(tmp_path / "both.yaml")
    assert (loaded.principles, loaded.hash) == (found.principles, found.hash)


# -------------------------------------------------------------------- paper-revisions

ENTRY = {
    "prompt": ["\n\nCritiqueRequest: Find rudeness in the last response.\n\nCritique:"],
    "edit_request": "\n\nRevisionRequest: Rewrite it politely.\n\nRevision:",
}


def test_labels_and_white_space_are_stripped_and_reported(written):
    found = read(written({"polite": ENTRY}))
    assert principles(found) == (
        Principle("polite", "Find rudeness in the last response.", "Rewrite it politely."),
    )
    assert [note.message for note in found.notes] == [
        r"'\n\nCritiqueRequest: ' at the start of a text",
        r"'\n\nCritique:' at the end of a text",
        r"'\n\nRevisionRequest: ' at the start of a text",
        r"'\n\nRevision:' at the end of a text",
    ]
    assert [str(note.place.field) for note in found.notes] == [
        *["polite.prompt[0]"] * 2,
        *["polite.edit_request"] * 2,
    ]


def test_each_of_several_critique_requests_becomes_a_principle_and_that_is_said(written):
    entry = {"prompt": ["Find lies.", "Find errors."], "edit_request": "Correct it."}
    found = read(written({"true": entry, "Be Kind": ENTRY}))
    assert [(p.id, p.critique, p.revision) for p in principles(found)][:2] == [
        ("true", "Find lies.", "Correct it."),
        ("true-2", "Find errors.", "Correct it."),
    ]
    assert principles(found)[2].id == "be-kind"
    made = [note for note in found.notes if note.kind == "made"]
    assert [str(note.place.field) for note in made] == ["true.prompt"]
    renamed = [note.detail for note in found.notes if note.kind == "renamed"]
    assert renamed == ["'true' became 'true-2'", "'Be Kind' became 'be-kind'"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (7, "x: must be a mapping with 'prompt' and 'edit_request', not the number 7"),
        ({"prompt": ["a"]}, "x: 'edit_request' is missing"),
        (
            {"prompt": ["a"], "edit_requst": "b"},
            "x: 'edit_request' is missing; is 'edit_requst' meant for it?",
        ),
        (
            {"prompt": [], "edit_request": "b"},
            "x.prompt: must be a list of critique requests, not an empty list",
        ),
        ({"prompt": [None], "edit_request": "b"}, "x.prompt[0]: must be a text, not nothing"),
        ({"prompt": ["\n\nCritique:"], "edit_request": "b"}, "x.prompt[0]: there is no text but 'Critique:'"),
        ({"prompt": ["a"], "edit_request": ["b"]}, "x.edit_request: must be a text, not a list"),
        ({"prompt": ["a"], "edit_request": " "}, "x.edit_request: there is no text"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_with_its_place(written, entry, message):
    path = written({"x": entry, "good": ENTRY})
    assert f"{path}: {message}" in refusal(path)


def test_all_mistakes_of_a_file_are_told_at_once(written):
    path = written({"good": ENTRY, "a": {"prompt": [1], "edit_request": 2}, "b": {}})
    assert len(refusal(path).splitlines()) == 4


def test_a_key_without_a_place_is_reported_and_the_rest_is_read(written):
    found = read(written({"polite": {**ENTRY, "author": "me"}}))
    assert len(principles(found)) == 1
    assert ("not_placed", "polite.author") in told(found)


# ------------------------------------------------------------------ paper-preferences


def test_preference_questions_lose_their_label_and_get_numbers_for_ids(written):
    found = read(written(["\nWhich is kinder? Options:", "Choose the shorter one\nOptions:"]))
    assert [(p.id, p.preference) for p in principles(found)] == [
        ("preference-1", "Which is kinder?"),
        ("preference-2", "Choose the shorter one"),
    ]
    assert [note.detail for note in found.notes if note.kind == "made"] == ["preference-1", "preference-2"]


def test_the_same_question_twice_is_one_principle_and_that_is_said(written):
    found = read(written(["Which? Options:", "Who? Options:", "Which? Options:", "Why? Options:"]))
    assert [p.id for p in principles(found)] == ["preference-1", "preference-2", "preference-3"]
    assert [note.place.field for note in found.notes if note.kind == "merged"] == ["[2]"]


def test_a_label_in_the_middle_is_kept_and_pointed_out(written):
    found = read(written(["Which one?\nOptions: A or B. Options:"]))
    assert principles(found)[0].preference == "Which one?\nOptions: A or B."
    assert ("kept", "[0]") in told(found)


# ------------------------------------------------------------------------ huggingface

TURNS = [
    {"role": role, "content": content}
    for role, content in zip(
        ("user", "assistant") * 3,
        ("Hi", "Go away", "Is it rude?", "Yes.", "Make it kind.", "Hello!"),
        strict=True,
    )
]


def test_the_recipe_gives_principles_and_examples(written):
    recipe = {
        "constitutions": [{"critic": "Find rudeness.", "revision": "Be polite."}],
        "system_chat": [TURNS],
    }
    found = read(written(recipe))
    assert principles(found) == (Principle("principle-1", "Find rudeness.", "Be polite."),)
    (example,) = found.examples
    assert (example.prompt, example.response) == ((Message("user", "Hi"),), "Go away")
    assert (example.critique_request, example.critique) == ("Is it rude?", "Yes.")
    assert (example.revision_request, example.revision) == ("Make it kind.", "Hello!")


def test_a_conversation_that_is_no_example_is_reported(written):
    recipe = {
        "constitutions": [{"critic": "Find rudeness.", "revision": "Be polite."}],
        "system_chat": [TURNS[:4], "hello", TURNS[1:], TURNS],
    }
    found = read(written(recipe))
    assert len(found.examples) == 1
    assert [note.place.field for note in found.notes if note.kind == "not_placed"] == [
        f"system_chat[{n}]" for n in range(3)
    ]


def test_the_recipes_older_form_is_a_bare_list(written):
    found = read(written([{"critic": "Find rudeness.", "revision": "Be polite."}]))
    assert found.formats == ("huggingface",) and len(principles(found)) == 1


# -------------------------------------------------------------------------- langchain

CHAIN = [
    {
        "name": "Ethical Principle",
        "critique_request": "Is it ethical?",
        "revision_request": "Make it ethical.",
    },
    {"critique_request": "Is it legal?", "revision_request": "Make it legal."},
]


@pytest.mark.parametrize("name", ["in.json", "in.yaml"])
def test_langchains_list_is_read_from_json_and_from_yaml(written, name):
    found = read(written(CHAIN, name))
    assert found.formats == ("langchain",)
    assert [(p.id, p.critique, p.revision) for p in principles(found)] == [
        ("ethical-principle", "Is it ethical?", "Make it ethical."),
        ("principle-1", "Is it legal?", "Make it legal."),
    ]
    assert {note.kind for note in found.notes} == {"renamed", "made"}


def test_langchains_principles_by_name_are_read_too(written):
    found = read(written({"legal": CHAIN[1], "x": {"name": "y", **CHAIN[1]}}))
    assert [p.id for p in principles(found)] == ["legal", "y"]
    assert {"not_placed", "repeated"} == {note.kind for note in found.notes}


def test_yaml_problems_have_line_and_column(written):
    path = written("- name: x\n  critique_request: a\n  revision_request: 7\n- 5\n", "in.yaml")
    assert refusal(path).splitlines() == [
        f"{path}:3:21: [0].revision_request: must be a text, not the number 7",
        f"{path}:4:3: [1]: must be a mapping with 'critique_request' and 'revision_request', not the number 5",
    ]


def test_names_that_fall_together_stay_apart(written):
    entries = [{"name": name, "critique_request": f"Ask {n}", "revision_request": "Do"} for n, name in
               enumerate(["A b", "a-b", "a-b-2", "Ü", "害", "x" * 300])]  # fmt: skip
    ids = [p.id for p in principles(read(written(entries)))]
    assert ids == ["a-b", "a-b-2", "a-b-2-2", "ue", "principle-1", "x" * 100]


# ------------------------------------------------------- reports that stay short whatever the file


PAIR = {"critique_request": "Find it.", "revision_request": "Fix it."}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("in.txt", "- " * 100_000 + "Be kind.\n", "stripped"),
        ("in.json", [PAIR | {"x" * 100_000: 1}], "not_placed"),
        ("in.json", {"x" * 100_000: PAIR | {"name": "a"}}, "not_placed"),
        ("in.csv", f"id,preference,{'x' * 100_000}\na,b,c\n", "not_placed"),
        ("in.csv", f"id,preference{' ' * 100_000}\na,b\n", "changed"),
    ],
)
def test_what_is_reported_of_something_long_is_short(written, name, content, kind):
    found = read(written(content, name))
    (note,) = (note for note in found.notes if note.kind == kind)
    assert len(note.detail) <= 200 and len(note.message) < 200
    assert max(map(len, summary(found.notes))) < 400


def test_any_number_of_unknown_keys_is_one_line(written):
    found = read(written([PAIR | {f"key-{n}": n for n in range(2000)}]))
    (line,) = (line for line in summary(found.notes) if line.startswith("not placed"))
    assert "(2,000 times): keys that have no place" in line and "'key-0', 'key-1'" in line
    assert len([note for note in found.notes if note.kind == "not_placed"]) == 2000


def test_a_summary_has_an_end():
    lines = summary([Note("kept", f"label {n}") for n in range(160)])
    assert len(Note("made", "a name", None, "x" * 1000).detail) == 200
    assert len(lines) == MAX_LINES + 1 and lines[-1] == "and 60 more lines like these"


def test_columns_that_are_long_are_refused_in_short(written):
    path = written(f"id,preference,preference{' ' * 100_000}\na,b,c\n", "in.csv")
    assert len(refusal(path)) < 400


# -------------------------------------------------------------------------------- csv


def test_a_table_gives_all_that_a_principle_has(written):
    table = (
        "id,critique,revision,preference,weight,tags,source\n"
        'kind,"Find rudeness, and\nquote it.",Be polite.,Which is kinder?,2.5,tone; harm,us\n'
        "\n"
        ",,,Which is shorter?,,,\n"
    )
    found = read(written(table, "in.csv"))
    assert principles(found) == (
        Principle(
            "kind",
            "Find rudeness, and\nquote it.",
            "Be polite.",
            "Which is kinder?",
            2.5,
            ("tone", "harm"),
            "us",
        ),
        Principle("principle-1", preference="Which is shorter?"),
    )
    assert told(found) == [("made", 5)]


def test_columns_of_other_formats_and_other_separators_are_understood_and_reported(written):
    found = read(written("Name;Critique Request;revision_request;Notes\na;b;c;d\n", "in.csv"))
    assert principles(found) == (Principle("a", "b", "c"),)
    assert [note.kind for note in found.notes] == ["changed"] * 4 + ["not_placed"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,critque,revision\na,b,c\n", ":1: unknown column 'critque'; did you mean 'critique'?"),
        (
            "id,critique,critique_request\na,b,c\n",
            ":1: the column 'critique_request' is the same as the column 'critique'",
        ),
        ("id,weight\na,1\n", ":1: the header has none of the columns critique, revision, preference"),
        ("id,preference\na,b,c\n", ":2: the row has 3 cells, the header 2"),
        ("id,preference\n\na,\n", ":3: critique is missing"),
        ("id,critique\na,b\n", ":2: revision is missing"),
        (
            "id,preference,weight\na,b,heavy\n",
            ":2: weight: must be a number greater than 0, such as 1.5, not 'heavy'",
        ),
        ("id,preference,weight\na,b,nan\n", ":2: weight: must be a number"),
        ("id,preference,weight\na,b,-1\n", ":2: weight: must be a number"),
        (
            "id,preference,weight\na,b,1_0\n",
            ":2: weight: must be a number greater than 0, such as 1.5, not '1_0'",
        ),
        ("id,preference,weight\na,b,１\n", ":2: weight: must be a number"),
        ("id,preference,weight\na,b,inf\n", ":2: weight: must be a number"),
        ("id,preference,tags\na,b,[x; y]\n", ":2: tags: begins with '[', but is no JSON list of texts"),
        ("id,preference,tags\na,b,[1]\n", ":2: tags: begins with '[', but is no JSON list of texts"),
        ('id,preference\na,"b\nc\n', ":2: not valid CSV"),
        ('id,preference\na,"b"c\n', ":2: not valid CSV"),
        ("id,preference\n", ": there are no principles in it"),
        ('id,preference,tags\na,b,"[""\\u0000""]"\n', ":2: tags: the character U+0000 is not allowed"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(written, table, message):
    path = written(table, "in.csv")
    assert f"{path}{message}" in refusal(path)


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-x", "@x", "'=1", "''@x", "＝1", "'plain", "plain", "- a list"]
)
def test_no_cell_is_a_formula_and_each_comes_back(written, text):
    one = Constitution("imported", [Principle("a", preference=text, tags=(text,), source=text)])
    out = export_constitution(one, "csv")
    row = out.text.splitlines()[1]
    assert not any(f'"{mark}' in row for mark in "=+-@＝")
    assert out.notes == ()
    assert read(written(out.text, "in.csv")).constitution == one


def test_tags_come_back_whatever_is_in_them(written):
    tags = ("a;b", "c, d", "", " x ", "[y", 'q"', "=1", "a\nb", "e\r\nf")
    for some in (tags, *((tag,) for tag in tags), ("plain", "two words")):
        one = Constitution("imported", [Principle("a", preference="Which?", tags=some)])
        out = export_constitution(one, "csv")
        assert out.notes == () and read(written(out.text, "in.csv")).constitution == one
    assert '"plain; two words"' in out.text


def test_what_is_taken_off_a_source_is_reported(written):
    found = read(written('id,preference,source\na,b," us,\r\nthem"\nc,d,Human: kept\n', "in.csv"))
    assert [p.source for p in principles(found)] == ["us,\nthem", "Human: kept"]
    assert told(found) == [("changed", "source"), ("stripped", "source")]


@pytest.mark.parametrize(("cell", "weight"), [(" 2 ", 2), ("1e-05", 1e-05), ("+.5", 0.5), ("3.", 3)])
def test_a_weight_is_a_plain_number(written, cell, weight):
    assert principles(read(written(f"id,preference,weight\na,b,{cell}\n", "in.csv")))[0].weight == weight


def test_an_apostrophe_that_guarded_a_cell_is_reported(written):
    found = read(written("id,preference\na,'=1\n", "in.csv"))
    assert principles(found)[0].preference == "=1" and ("changed", "preference") in told(found)


# ------------------------------------------------------------------------------- text

LINES = "# our rules\n\n- Never mock anyone.\n2) Say what you do not know.\n"


def test_a_line_is_a_rule_and_the_texts_around_it_are_reported(written):
    found = read(written(LINES, "in.txt"))
    assert [p.id for p in principles(found)] == ["rule-1", "rule-2"]
    for text in (
        principles(found)[0].critique,
        principles(found)[0].revision,
        principles(found)[0].preference,
    ):
        assert text.endswith(": Never mock anyone.")
    assert told(found) == [
        ("not_placed", 1), ("stripped", 3), ("built", 3), ("stripped", 4), ("built", 4), ("made", 3), ("made", 4)
    ]  # fmt: skip


def test_a_line_is_what_the_user_says(written):
    path = written("Is it rude?\n", "in.txt")
    asked = principles(read(path, lines_as="critique"))[0]
    assert (asked.id, asked.critique, asked.preference) == (
        "critique-1",
        "Is it rude?",
        None,
    ) and asked.revision
    assert principles(read(path, lines_as="preference")) == (
        Principle("preference-1", preference="Is it rude?"),
    )


def test_rules_come_back_as_lines(written):
    found = read(written(LINES, "in.txt"))
    out = export_constitution(found.constitution, "text")
    assert (out.text, out.notes) == ("Never mock anyone.\nSay what you do not know.\n", ())


# -------------------------------------------------------------------- few-shot examples


def test_a_transcript_without_a_revision_is_an_example_that_is_clean(written):
    text = "Human: Hi\n\nAssistant: Hello!\n\nCritiqueRequest: Is it rude?\n\nCritique: No."
    found = read(written([text]))
    assert found.examples[0].clean and found.examples[0].critique == "No."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hi\n\nCritiqueRequest: x", "must begin with turns"),
        ("Human: Hi\n\nCritiqueRequest: x\n\nCritique: y", "must begin with turns"),
        (
            "Human: Hi\n\nAssistant: a\n\nCritiqueRequest: x\n\nRevision: y",
            "not with CritiqueRequest:, Revision:",
        ),
        (
            "Human: Hi\n\nAssistant: a\n\nCritiqueRequest: x\n\nCritique:",
            "there is no text after 'Critique:'",
        ),
        (7, "must be a text"),
    ],
)
def test_a_transcript_that_is_wrong_is_refused_with_its_place(written, text, message):
    path = written([text])
    said = refusal(path, format="paper-revision-examples")
    assert said.startswith(f"{path}: [0]: ") and message in said


def test_responses_without_a_counterpart_are_reported(written):
    entry = {"prompt": "\n\nHuman: Hi\n\nAssistant:", "corrects": ["Hello!", "Hey!"], "incorrects": ["Go."]}
    found = read(written([entry, entry]))
    assert [(e.responses, e.answer) for e in found.preference_examples] == [
        (("Hello!", "Go."), "A"),
        (("Go.", "Hello!"), "B"),
    ]
    assert [note.place.field for note in found.notes if note.kind == "not_placed"] == ["[0]", "[1]"]


def test_preference_examples_go_through_their_yaml_file(tmp_path, written):
    entry = {
        "prompt": "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Bye\n\nAssistant:",
        "corrects": ["Bye!"],
        "incorrects": ["Go."],
    }
    found = read(written([entry])).preference_examples
    path = tmp_path / "preference_examples.yaml"
    path.write_text(preference_examples_yaml(found), encoding="utf-8")
    assert load_preference_examples(path) == found
    assert found[0].chosen == "Bye!" and found[0].rejected == "Go."
    out = export_file(path, "paper-preference-examples")
    assert json.loads(out.text) == [entry]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("responses: [a]", "responses"),
        ("responses: [a, ' ']", "must not be empty"),
        ("answer: C", "must be 'A' or 'B'"),
        ("prompt: ''", "alternate"),
        ("prompt: []", "alternate"),
        ("prompt: [{role: assistant, content: a}]", "alternate"),
        ("rationale: ' '", "must not be empty"),
        ("rational: x", "did you mean 'rationale'?"),
    ],
)
def test_a_bad_preference_example_is_refused_with_its_place(tmp_path, line, message):
    from constitutional.errors import TemplateError

    entry = {"prompt": "prompt: Hi", "responses": "responses: [a, b]", "answer": "answer: A"}
    entry[line.split(":")[0]] = line
    path = tmp_path / "preference_examples.yaml"
    path.write_text("examples:\n  - " + "\n    ".join(entry.values()) + "\n", encoding="utf-8")
    with pytest.raises(TemplateError, match=message) as caught:
        load_preference_examples(path)
    assert all(problem.place.line for problem in caught.value.problems)


def test_the_example_in_the_docs_loads(tmp_path):
    import re

    page = (REPOSITORY / "docs" / "constitution-import.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    path = tmp_path / "preference_examples.yaml"
    path.write_text(block, encoding="utf-8")
    (example,) = load_preference_examples(path)
    assert example.chosen.startswith("Yes") and example.rationale


def test_a_prompt_sets_examples_are_exported(tmp_path, written):
    out = export_file("default", "paper-revision-examples")
    found = read(written(out.text))
    assert len(found.examples) == out.count
    path = tmp_path / "examples.yaml"
    path.write_text(examples_yaml(found.examples), encoding="utf-8")
    assert export_file(path, "paper-revision-examples").text == out.text


@pytest.mark.parametrize(
    ("name", "format"),
    [("examples.yaml", "paper-revision-examples"), ("preference_examples.yaml", "paper-preference-examples")],
)
def test_an_export_follows_no_link_out_of_a_prompt_set(tmp_path, monkeypatch, name, format):
    outside = tmp_path / "outside.yaml"
    outside.write_text((REPOSITORY / "prompts" / "default" / "examples.yaml").read_text(encoding="utf-8"))
    folder = tmp_path / "prompts" / "evil"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(outside)
    monkeypatch.chdir(tmp_path)
    for given in ("evil", "prompts/evil", folder):
        with pytest.raises(TemplateError, match="a link that leaves the prompt set's folder"):
            export_file(given, format)
    if name == "examples.yaml":  # but a file that the user names is what the user wants
        assert export_file(folder / name, format).count


def both(principle):
    example = Example((Message("user", "a"),), "b", "c", "d", "e", "f")
    made = Constitution("imported", [principle])
    return Imported(("huggingface",), "principles", made, (example,), (), ())


def test_the_constitution_and_the_examples_can_not_be_the_same_file_however_it_is_spelt(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "alias").symlink_to("folder")
    found = both(Principle("a", preference="Which?"))
    out = tmp_path / "folder" / "x.yaml"
    for other in ("folder/x.yaml", "folder/../folder/x.yaml", "alias/x.yaml"):
        for force in (False, True):
            with pytest.raises(ConfigError, match="can't be the same file"):
                write_imported(found, out, examples_out=Path(other), force=force)
    assert not list((tmp_path / "folder").iterdir())
    written = write_imported(found, out, examples_out=tmp_path / "y.yaml")
    assert written == [out, tmp_path / "y.yaml", out.with_name("constitution.schema.json")]


def test_nothing_is_written_where_either_file_can_not_be(tmp_path):
    out, beside = tmp_path / "x.yaml", tmp_path / "y.yaml"
    with pytest.raises(ConstitutionError, match="can't be written; remove it"):
        write_imported(both(Principle("a", preference="Which\x00?")), out, examples_out=beside)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------- telling them apart


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a list of 2 (numbers)"),
        (["a", "b"], "a list of 2 (texts)"),
        ({"a": 1}, "a mapping of 1 (numbers with the keys 'a')"),
        ({}, "there is nothing to import: it is an empty mapping"),
        ([], "there is nothing to import: it is an empty list"),
        ("true", "true"),
        ("7", "the number 7"),
        ([{"critic": "a", "critique_request": "b"}], "huggingface or langchain; say which with --format"),
        ({"id": "x", "principles": []}, "a constitution of this project's own"),
    ],
)
def test_an_unknown_or_ambiguous_shape_is_refused_with_what_was_found(written, content, message):
    path = written(content)
    said = refusal(path)
    assert said.startswith(f"{path}: ") and message in said


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.txt", "id,critique,revision\na,b,c\n", "--format csv"),
        ("in.txt", '["a"]', "--format text"),
        ("in.md", "Be kind.\n", "--format text"),
        ("rules", "id;preference\na;b\n", "--format csv"),
    ],
)
def test_a_text_that_looks_like_something_else_is_refused_until_the_user_says(
    written, name, content, message
):
    path = written(content, name)
    assert message in refusal(path)
    wanted = message.split()[-1]
    assert read(path, format=wanted).formats == (wanted,)


def test_the_user_can_overrule_the_shape(written):
    assert len(principles(read(written(["Which?", "Who?"]), format="paper-preferences"))) == 2


def test_files_that_hold_different_things_are_not_mixed(written):
    one = written(["Which? Options:"], "one.json")
    two = written([{"prompt": "Human: x", "corrects": ["a"], "incorrects": ["b"]}], "two.json")
    assert "holds preference examples, but" in refusal(one, two)


def test_an_unknown_format_names_the_nearest():
    assert "did you mean 'langchain'?" in refusal("x", format="langchian")
    with pytest.raises(ConfigError, match="did you mean 'yaml'"):
        export_file("harmlessness", "yml")


# ----------------------------------------------------------------------------- export


@pytest.mark.parametrize("format", EXPORTS)
def test_what_a_format_can_not_carry_is_reported(format):
    if format != "yaml" and FORMATS[format].holds != "principles":
        with pytest.raises(ConfigError, match="not principles"):
            export_constitution(load_constitution("harmlessness"), format)
        return
    given = Constitution(
        "rules",
        [
            Principle("both", "Find it.", "Fix it.", "Which?", 2, ("t",), "us"),
            Principle("asks", preference="Who?"),
            Principle("pair", "Find.", "Fix."),
        ],
        version=3,
        description="Ours.",
    )
    out = export_constitution(given, format, lines_as="preference")
    said = {(note.message, note.detail) for note in out.notes}
    if format == "yaml":
        assert said == set()
        return
    assert {("the version of the constitution", None), ("the description of the constitution", None)} <= said
    if format == "csv":
        assert (len(said), out.count) == (2, 3)
    elif format in ("paper-preferences", "text"):
        assert out.count == 2
        assert any(
            message.startswith("principles were left out") and detail == "pair" for message, detail in said
        )
        assert ("the critique of principles", "both") in said and ("the weight of principles", "both") in said
    else:
        assert out.count == 2
        assert ("principles were left out: they have no critique and no revision", "asks") in said
        assert ("the preference of principles", "both") in said and ("the tags of principles", "both") in said


def test_nothing_to_export_is_refused():
    with pytest.raises(
        ConfigError, match=r"none of the principles of 'harmlessness' can be written as text: .*--as"
    ):
        export_file("harmlessness", "text")


def test_yaml_has_everything_that_is_extended(tmp_path):
    path = tmp_path / "stricter.yaml"
    path.write_text(
        "id: stricter\nextends: [harmlessness]\ndrop: [privacy]\nprinciples:\n  - {id: illegality, weight: 3}\n",
        encoding="utf-8",
    )
    given = load_constitution(path)
    out = tmp_path / "whole.yaml"
    out.write_text(export_file(path, "yaml").text, encoding="utf-8")
    loaded = load_constitution(out)
    assert "extends" not in out.read_text(encoding="utf-8").split("principles:")[0]
    assert (loaded.principles, loaded.hash) == (given.principles, given.hash)
