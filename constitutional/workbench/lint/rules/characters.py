"""Characters in a text that no model should be shown: labels, template syntax, encoding slips; and too many of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from constitutional.workbench.lint.reading import Text
from constitutional.workbench.lint.rule import Hit, Rule

_LABEL = re.compile(
    r"\b(?:[Cc]ritique|[Rr]evision|[Ee]dit) ?[Rr]equest ?:"  # CritiqueRequest:, Revision request:
    r"|\b(?:Human|Assistant|Options) ?:"
    r"|(?m:^[ \t]*(?:Critique|Revision|Answer|User|System|Response|Preference|Principle) ?:)"
    r"|\b(?:Critique|Revision|Answer|Response|options) ?:(?=\s*\Z)"
    r"|<\|[^<>|\s]{1,64}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"  # turns of chat templates
)
_TEMPLATE = re.compile(
    r"\{\{[^{}\n]{0,100}(?:\}\})?|\{%[^%\n]{0,100}(?:%\})?|\{#[^#\n]{0,100}#\}"  # Jinja
    r"|\$\{[^{}\n]{1,100}\}|%\([A-Za-z_]\w{0,50}\)s"
    r"|(?<![\w{$])\{(?:[A-Za-z_][\w.]{0,50}|\d{1,3})\}(?!\})"  # str.format, LangChain
)

_LOST = re.compile("\ufffd")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]+")  # the flags of England, Scotland and Wales
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\u202d\u202e\U000e0000-\U000e007f]"
    "|(?<=[A-Za-z])[\u200c\u200d](?=[A-Za-z])"  # elsewhere they join emoji and Indic letters
)
_DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202c\u2066-\u2069]")
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{2,6}|#[xX][0-9A-Fa-f]{2,5});")
_ESCAPE = re.compile(
    r"\\n(?=\\n|\s|[A-Z]|\Z)|(?<!\\)\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|(?<!\\)\\[\"'](?=\s|\w|[.,;:!?]|\Z)"
)


def labels(text: Text) -> Iterator[Hit]:
    """Labels of a transcript or a prompt file."""
    for found in _LABEL.finditer(text.head):
        words = found.group().strip()
        if not text.in_quotes(found.start()):
            at = found.end() - len(words)
            yield Hit(
                f"the label {words!r} was left in the text; the prompt set adds the labels, so take it out",
                at,
                found.end(),
            )
            return


def templates(text: Text) -> Iterator[Hit]:
    """Placeholders, which nothing fills in."""
    for found in _TEMPLATE.finditer(text.head):
        if not text.in_code(found.start()):
            yield Hit(
                f"{found.group()!r} looks like a placeholder, but texts of principles are shown as they are; say it in words, "
                "or quote code in backticks",
                *found.span(),
            )
            return


def encoding(text: Text) -> Iterator[Hit]:
    """The first sign that a text was read in another encoding than it was written in, or copied from a page."""
    found = min(_slips(text), key=lambda hit: hit.start or 0, default=None)
    if found:
        yield found


def _slips(text: Text) -> Iterator[Hit]:
    head = text.head
    if found := _LOST.search(head):
        yield _hit(found, "U+FFFD stands for a character that was lost in another encoding; write it again")
    visible = _FLAG.sub(lambda flag: "x" * len(flag.group()), head)
    right_to_left = _RIGHT_TO_LEFT.search(head)
    for pattern in (_INVISIBLE,) if right_to_left else (_INVISIBLE, _DIRECTION):
        if found := pattern.search(visible):
            yield _hit(
                found,
                f"the invisible character U+{ord(found.group()):04X} is in the text; take it out",
                around=head,
            )
    if found := _PRIVATE.search(head):
        yield _hit(
            found,
            f"U+{ord(found.group()):04X} is a character of one font only; write it in another way",
            around=head,
        )
    if found := _LIGATURE.search(head):
        yield _hit(
            found, f"{found.group()!r} is one character, as from a PDF; write its letters", around=head
        )
    for found in _ENTITY.finditer(head):
        meant = html.unescape(found.group())
        if meant != found.group() and not text.in_code(found.start()):
            yield _hit(found, f"{found.group()!r} is an HTML entity; write {meant!r}")
            break
    for found in _ESCAPE.finditer(head):
        if not text.in_quotes(found.start()):
            message = f"{found.group()!r} is shown as it stands, since only texts in double quotes have escapes; write what it means"
            yield _hit(found, message)
            break
    yield from _misread(head)


def _misread(text: str) -> Iterator[Hit]:
    if text.isascii():
        return
    from ftfy import fix_encoding
    from rapidfuzz.distance import Postfix, Prefix

    at = 0
    for line in text.splitlines(keepends=True):
        mended = fix_encoding(line)
        if mended != line:
            before = Prefix.similarity(line, mended)
            after = Postfix.similarity(line[before:], mended[before:])
            wrong, right = line[before : len(line) - after], mended[before : len(mended) - after]
            start = at + before
            yield Hit(f"{wrong!r} was read in the wrong encoding; write {right!r}", start, start + len(wrong))
            return
        at += len(line)


def _hit(found: re.Match[str], message: str, *, around: str = "") -> Hit:
    """A hit, told with the words around it where the character itself can't be seen or searched for."""
    if not around:
        return Hit(message, *found.span())
    start = max(around.rfind(" ", 0, found.start()), around.rfind("\n", 0, found.start())) + 1
    return Hit(message, min(start, found.start()), found.end())


def over_budget(text: Text) -> Iterator[Hit]:
    """A text of more tokens than the budget."""
    limits = text.limits
    tokens = limits.count_tokens(text.text)
    if tokens > limits.budget:
        count = (
            f"{tokens:,} tokens, counted by {limits.counted_by}"
            if limits.counted_by
            else f"about {tokens:,} tokens"
        )
        yield Hit(
            f"{count}: more than the {limits.budget:,} of the budget, in every request that draws it; shorten or split it"
        )


RULES = (
    Rule(
        "label-in-text",
        "error",
        "A label such as `CritiqueRequest:`, `Options:` or `Human:`, or a turn marker of a chat template, is in a text.",
        "Labels come from prompt files in which a text was part of a transcript. Here the prompt set adds them, so a model would see them "
        "twice, and often goes on with the transcript. In quotation marks they are left alone.",
        bad="""\
id: example
principles:
  - id: kind
    preference: |
      Which of these two responses is kinder?

      Options:
""",
        line=7,
        good="""\
id: example
principles:
  - id: kind
    preference: |
      Which of these two responses is kinder?
""",
        check_text=labels,
    ),
    Rule(
        "template-syntax",
        "error",
        "A placeholder such as `{{ response }}` or `{question}` is in a text.",
        "Texts of principles are no templates: nothing fills it in, and the model sees it as it is. The conversation and the response are "
        "before it anyway. Code in backticks is left alone.",
        bad="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant's last response, {response}.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant's last response.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
        check_text=templates,
    ),
    Rule(
        "encoding-slip",
        "error",
        "A character is not what was meant: read in the wrong encoding, invisible, or an escape or HTML entity that stayed one.",
        "Such characters come with texts that were copied or converted. A model sees rare tokens in their place, and a reader may not see "
        "them at all. (A file that is not UTF-8 or has control characters can't be read at all.)",
        bad="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistantâ€™s last response.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant’s last response.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
        fields=("critique", "revision", "preference", "description", "source", "tags"),
        check_text=encoding,
    ),
    Rule(
        "over-budget",
        "warning",
        "A text is longer than 200 tokens (`--budget` says otherwise).",
        "Every request that draws the principle carries it, and weak models lose the thread of a long one. With `--model` the model's own "
        "tokenizer counts; else four ASCII characters, or one other character, are taken for a token.",
        bad="""\
id: example
principles:
  - id: kind
    preference: >-
      Which of these two responses is kinder? A kind response greets the user where that is natural, uses their name if they
      gave it, and thanks them for what they shared. It takes a worry seriously before it offers a way out of it, and does not
      call a question simple, obvious or strange. It does not remind the user of things they did wrong. Where it has to
      disagree, it says first what it agrees with, and it gives a reason for everything else. It does not compare the user with
      other people. It leaves out sarcasm, exclamation marks and jokes about the user. It asks before it gives advice that
      was not asked for, and it offers a next step at the end. It is as long as it has to be, since it is not kind to make
      somebody read three pages where two lines would have done. And it speaks of people who are not there as it would
      speak if they were there.
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    preference: >-
      Which of these two responses is kinder: which one takes the user's worry more seriously, and finds less fault with them?
""",
        check_text=over_budget,
    ),
)
