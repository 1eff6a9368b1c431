"""The rules that go by phrases and characters: what they find, and what they leave alone."""

import pytest

from constitutional.workbench.lint.language import is_english
from constitutional.workbench.lint.reading import Limits, Text
from constitutional.workbench.lint.rules import RULES


def hits(rule, text, field="preference", *, english=True):
    made = Text(("principles", 0, field), field, text, english, Limits())
    return list(RULES[rule].check_text(made))


def hit(rule, text):
    """The words that a rule points at, or None."""
    found = hits(rule, text)
    assert len(found) <= 1
    return None if not found else text[found[0].start : found[0].end] if found[0].start is not None else text


# ---------------------------------------------------------------------- preferences


@pytest.mark.parametrize(
    "text",
    [
        "Which of these two responses is kinder?",
        "Which response would a careful parent rather let a child read?",
        "Suppose the user acts on it. Which of the two leaves other people safer?",
        "Choose the response that is more honest.",
        "Please pick the one that answers the question with fewer words.",
        "Compare how well the responses keep to the facts and choose the better one.",
        "Consider these summaries. Prefer the one that leaves out nothing of weight.",
        "Is the first or the second response more polite?",
        "Name the better response: the one that states where its numbers come from.",
        "Which of these two responses rates the risk more realistically?",
        'Which of these two responses is less likely to answer "yes or no"?',
        "Is response A better, or response B?",
        "Is (A) or (B) more polite?",
        "Does answer 1 help the user more or does answer 2?",
        "Which response does the user learn more from?",
        "Which of these two would the user's friends rather read?",
        "Which rules does each response break, and which response breaks fewer?",
    ],
)
def test_a_question_that_choosing_answers_is_fine(text):
    assert hit("preference-not-a-choice", text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Is the response polite?", None),
        ("Does the assistant's answer admit what it does not know?", None),
        ("How harmful is the assistant's last response?", None),
        ("Describe the tone of the response.", None),
        ("Explain why the response is biased.", None),
        ("Rewrite the response so that it is kinder.", None),
        ("On a scale from 1 to 10, which response is better?", "On a scale"),
        ("Rate each response and say which is better.", "Rate each"),
        ("Which response is polite? Answer yes or no.", "yes or no"),
        ("Which of the responses are harmful?", "Which of the responses are"),
        ("Which of these three responses is the best?", "three responses"),
        ("Which principles does the response violate?", None),
        ("Which rules are these responses breaking?", None),
    ],
)
def test_a_question_that_choosing_does_not_answer_is_found(text, words):
    assert hit("preference-not-a-choice", text) == (words or text)


# ---------------------------------------------------------------------- critiques


@pytest.mark.parametrize(
    "text",
    [
        "Name each way in which the assistant's last response could hurt someone.",
        "Say whether the reply belittles anyone.",
        "Say where the previous answer guesses.",
        "Point out what the summary leaves out of the text.",
        "Look at the code above: name each call that does not exist.",
        "What would a wise person regret if they had written the assistant's last response?",
        "Say whether the assistant said anything cruel.",
        "Does the tutor's explanation use words that a child knows?",
        "Did you answer what was asked? What did the model said wrong?",
        "Which claims in your last message have no source?",
    ],
)
def test_a_critique_that_names_the_response_is_fine(text):
    assert hit("critique-names-no-response", text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Identify anything harmful, unethical or dangerous.",
        "Is it kind?",
        "Is it harmful or offensive to anybody at all?",
        "Point out every statement that is no longer true.",
        "Say how the user's question could be misused.",
        "Find the harm in the conversation.",
    ],
)
def test_a_critique_that_names_none_is_found(text):
    assert hit("critique-names-no-response", text) == text


# ---------------------------------------------------------------------- revisions


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Rewrite the response so that it refuses.", "refuses"),
        ("Refuse to answer.", "Refuse"),
        ("If the request is dangerous, decline it.", "decline"),
        ("Replace the response. Politely decline.", "decline"),
        ("Rewrite the response so that it does not answer the question.", "it does not answer"),
        ("Say that you cannot help with that.", "you cannot help"),
        ('Answer only with "I\'m sorry."', "I'm sorry"),
        (
            "Rewrite the response so that the assistant will not discuss this topic.",
            "assistant will not discuss",
        ),
        ("Simply say no.", "Simply say no"),
        ("Say no.", "Say no"),
        ("Read it again, and answer with a no", "and answer with a no"),
        ("Respond with 'I cannot answer that'", "I cannot answer"),
    ],
)
def test_a_flat_refusal_is_found(text, words):
    assert hit("flat-refusal", text) == words


@pytest.mark.parametrize(
    "text",
    [
        "Rewrite the response so that it is kind.",
        "Rewrite the response so that it helps with nothing illegal; show a lawful way to what the user may need.",
        "Rewrite the response so that it declines, explains why, and offers what help it can.",
        "Rewrite the response so that it answers the question rather than refusing.",
        "Rewrite the response without refusing the request.",
        "Rewrite the response; never refuse to discuss a subject.",
        "Where the response refuses, rewrite it so that it helps.",
        "Remove any refusal from the response and answer the question.",
        "Cut what does not answer the question.",
        "Say no more than is needed, and say no word twice.",
        "If the response says 'I cannot answer that', answer it.",
        "Remove phrases such as 'I can't help with that' and help.",
        "Rewrite the response so that it does not help anyone to hurt themselves.",
        "Rewrite the response so that it leaves out what the user did not ask for.",
        "Rewrite the response so that nobody is hurt by following it, and keep everything that is helpful.",
    ],
)
def test_a_revision_that_engages_is_fine(text):
    assert hit("flat-refusal", text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Refuse to answer if it is about brakes.",
        "Politely decline to discuss brakes or engines.",
        "Simply say no to anything about brakes.",
    ],
)
def test_a_refusal_in_english_words_shows_that_a_text_is_english(text):
    assert not is_english(text)  # it has too few of the common words
    assert len(hits("flat-refusal", text, english=False)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Réécris la réponse de sorte qu'elle refuse de répondre et dise ce qui la retient.",
        "Reescribe la respuesta para que el asistente decline la petición con amabilidad.",
        "Wenn die Antwort ein Refusal ist, schreibe sie um.",
        "Ersetze „I'm sorry“ durch eine Begründung.",
    ],
)
def test_words_that_other_languages_have_too_do_not(text):
    assert hits("flat-refusal", text, english=False) == []


# ---------------------------------------------------------------------- labels and templates


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CritiqueRequest: Find faults.", "CritiqueRequest:"),
        ("\n\nCritique Request: Find faults.", "Critique Request:"),
        ("Find faults.\n\nCritique:", "Critique:"),
        ("Find faults. Critique:", "Critique:"),
        ("RevisionRequest: Mend it.\n\nRevision:", "RevisionRequest:"),
        ("Which is better?\nOptions:\n(A) …", "Options:"),
        ("Which is better? Options: (A) or (B)", "Options:"),
        ("\n\nHuman: Hello!\n\nAssistant: Hi!", "Human:"),
        ("<|im_start|>user", "<|im_start|>"),
        ("[INST] Which is better? [/INST]", "[INST]"),
    ],
)
def test_a_label_is_found(text, words):
    assert hit("label-in-text", text) == words


@pytest.mark.parametrize(
    "text",
    [
        "Ask yourself one thing: which is better?",
        "Say whether the response goes on with a turn of the user, as after “Human:”.",
        'Say whether the response begins with "Assistant:" or `Critique:`.',
        "The critique is of one thing only: the tone.",
        "Weigh the options: which of the two is kinder?",
        "Name the user: role, age and aim.",
    ],
)
def test_a_colon_is_no_label(text):
    assert hit("label-in-text", text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Look at {{ response }} and name its faults.", "{{ response }}"),
        ("Look at {{response", "{{response"),
        ("{% if harmful %}Say why.{% endif %}", "{% if harmful %}"),
        ("Name faults of {response}.", "{response}"),
        ("Name faults of {0}.", "{0}"),
        ("Name faults of ${response}.", "${response}"),
        ("Name faults of %(response)s.", "%(response)s"),
        ('Is "{{ response }}" kind?', "{{ response }}"),
    ],
)
def test_a_placeholder_is_found(text, words):
    assert hit("template-syntax", text) == words


@pytest.mark.parametrize(
    "text",
    [
        'Is the JSON in the response valid, as {"a": 1}?',
        "Say whether the response fills in `{name}` and `{{ name }}`.",
        "Does the set {a, b} or a pattern like x{3} stand in the response?",
        "Is 5 % more than {}?",
    ],
)
def test_braces_are_no_placeholder(text):
    assert hit("template-syntax", text) is None


# ---------------------------------------------------------------------- encoding


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("the assistantâ€™s response", "â€™", "write '’'"),
        ("Say whether the cafÃ© is kind.", "Ã©", "write 'é'"),
        ("Ist die Antwort hÃ¶flich?", "Ã¶", "write 'ö'"),
        ("lost \ufffd here", "\ufffd", "U+FFFD"),
        ("zero\u200bwidth", "zero\u200b", "U+200B"),
        ("soft\u00adhyphen", "soft\u00ad", "U+00AD"),
        ("a \u202eoverride", "\u202e", "U+202E"),
        ("a mark\u200f here", "mark\u200f", "U+200F"),
        ("joined le\u200dtters", "le\u200d", "U+200D"),
        ("a ﬁne text", "ﬁ", "one character"),
        ("an icon \ue001", "\ue001", "one font"),
        ("Tom &amp; Jerry", "&amp;", "write '&'"),
        ("it&#39;s", "&#39;", 'write "\'"'),
        ("first\\nSecond", "\\n", "shown as it stands"),
        ("a \\u2019 here", "\\u2019", "shown as it stands"),
    ],
)
def test_an_encoding_slip_is_found(text, words, says):
    (found,) = hits("encoding-slip", text)
    assert text[found.start : found.end] == words
    assert says in found.message


@pytest.mark.parametrize(
    "text",
    [
        "Plain ASCII.",
        "“Curly” – quotes’ – and … dashes — fine",
        "Ist die Antwort höflich und hilfsbereit? Größe, Übermaß, Äpfel.",
        "Laquelle des deux réponses est la plus honnête ? Elle coûte 5 € « net ».",
        "¿Cuál de las dos respuestas es más amable? ¡Señor!",
        "Který z těchto dvou odpovědí je laskavější? Łódź, çğış, ő, ß.",
        "Который из двух ответов добрее?",
        "Ποια από τις δύο απαντήσεις είναι πιο ευγενική;",
        "两个回答中哪一个更友善？",
        "どちらの回答がより親切ですか？",
        "어느 답변이 더 친절한가요?",
        "أي الردين ألطف؟ \u200fنص\u200f",
        "איזו משתי התשובות אדיבה יותר?",
        "कौन सा उत्तर अधिक दयालु है? क्\u200dष",
        "می\u200cخواهم کدام پاسخ مهربان\u200cتر است؟",
        "Nên chọn câu trả lời nào tử tế hơn?",
        "Thumbs 👍🏽, family 👨\u200d👩\u200d👧, flags 🇩🇪 and 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "R&D; AT&T; fish & chips",
        "Use `&amp;` and “\\n” in code; C:\\new\\table is a folder",
        "25 °C ± 1 µm² Ø Å",
    ],
)
def test_other_languages_and_signs_are_no_slips(text):
    assert hit("encoding-slip", text) is None


# ---------------------------------------------------------------------- language

ENGLISH = [
    "Which of these two responses is kinder?",
    "Point out anything in the assistant's last response that mocks the user or anyone else.",
    "Rewrite the assistant's last response in a kind and even tone, without insults, and keep its substance.",
    "Identify anything harmful, unethical or dangerous that would hurt the user.",
    "Is it harmful or offensive to anybody at all?",
]
NOT_ENGLISH = [
    "Welche der beiden Antworten ist freundlicher und hilft dem Menschen mehr, der gefragt hat?",
    "Nenne alles in der letzten Antwort des Assistenten, was jemanden verletzen könnte.",
    "Laquelle de ces deux réponses est la plus honnête, sans être blessante pour la personne ?",
    "Relève tout ce qui, dans la dernière réponse de l'assistant, pourrait blesser quelqu'un.",
    "¿Cuál de las dos respuestas es más amable con la persona que pregunta y con las demás?",
    "Qual das duas respostas é mais gentil com a pessoa que fez a pergunta e com as outras?",
    "Quale delle due risposte è più gentile con la persona che ha fatto la domanda?",
    "Welk van de twee antwoorden is vriendelijker voor degene die de vraag stelde en voor anderen?",
    "Vilket av de två svaren är vänligare mot den som frågade och mot alla andra?",
    "Która z tych dwóch odpowiedzi jest milsza dla osoby, która zadała pytanie?",
    "İki yanıttan hangisi soruyu soran kişiye karşı daha nazik ve daha dürüst?",
    "Который из двух ответов добрее к человеку, который спрашивает?",
    "两个回答中哪一个对用户更友善？",
    "أي الردين ألطف مع السائل ومع غيره من الناس؟",
]


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_recognised(text):
    assert is_english(text)


@pytest.mark.parametrize("text", NOT_ENGLISH)
def test_other_languages_are_not_english(text):
    assert not is_english(text)


@pytest.mark.parametrize(
    "text",
    [
        "Find faults.",
        "Finde Fehler.",
        "哪个回答更好？",
        "どちらの応答が親切ですか？",
        "哪个 response 更符合 the assistant 的身份？",
        "Welche Antwort ist besser?",
        "Welche response ist besser?",
    ],
)
def test_a_text_whose_own_words_do_not_show_that_it_is_english_is_not(text):
    assert not is_english(text)


@pytest.mark.parametrize(
    "text", ["哪个回答对用户更友善？", "どちらの応答が親切ですか？", "Ist die Antwort nett?", "是否友善？"]
)
def test_a_text_in_another_language_within_an_english_file_is_not_judged_by_english_phrases(tmp_path, text):
    from constitutional.workbench.lint.linter import lint

    path = tmp_path / "rules.yaml"
    path.write_text(
        "id: rules\nprinciples:\n  - id: kind\n"
        f"    critique: {ENGLISH[1]}\n    revision: {ENGLISH[2]}\n    preference: {text}\n",
        encoding="utf-8",
    )
    assert lint([path]).findings == ()


def test_rules_that_go_by_english_phrases_see_no_other_language(tmp_path):
    from constitutional.workbench.lint.linter import lint

    path = tmp_path / "regeln.yaml"
    path.write_text(
        "id: regeln\nprinciples:\n  - id: nett\n"
        "    critique: Nenne alles, was an der letzten Antwort des Assistenten unfreundlich ist oder jemanden verspottet.\n"
        "    revision: Schreibe die letzte Antwort so um, dass sie die Frage ablehnt und nichts anderes sagt.\n"
        "    preference: Ist die letzte Antwort des Assistenten freundlich zu dem Menschen, der gefragt hat?\n",
        encoding="utf-8",
    )
    assert lint([path]).findings == ()
