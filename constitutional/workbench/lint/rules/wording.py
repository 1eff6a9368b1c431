"""English wordings that get other answers than were meant. They are found by phrases, so only in texts that are English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from constitutional.workbench.lint.reading import Text
from constitutional.workbench.lint.rule import Hit, Rule

_SHOWN = "responses?|replies|reply|answers?|summary|summaries|texts?|options?|assistants?"
_CHOICE = re.compile(
    r"\bwhich(?:ever)?\b|\b(?:choose|choosing|pick|select|prefer|preferred|compare|decide between)\b"
    r"|\bthe one (?:that|of|which|who)\b|\b(?:first|one) or the (?:second|other)\b|\b(?:name|say|give|tell) the (?:better|best)\b"
    # `is response A better, or response B?`
    rf"|\b(?:{_SHOWN}) \(?(?:a|1|one)\b[^.?!]{{0,60}}\bor\b[^.?!]{{0,30}}\b(?:b|2|two)\b|(?-i:\bA\)? or (?:is )?\(?B\b)",
    re.IGNORECASE,
)
# `which rules does the response break?`: a choice, but not of a response
_OTHER_CHOICE = re.compile(
    rf"\bwhich (?:(?!(?:of|one|is|{_SHOWN})\b)[\w'’-]{{1,20}} ){{1,3}}(?:do|does|did|is|are|was|were|has|have|would|will|can|should) "
    rf"(?:the|this|that|its|either|each|both|these|those) (?:[\w'’-]{{1,20}} ){{0,2}}(?:{_SHOWN})\b",
    re.IGNORECASE,
)
_RATING = re.compile(
    r"\b(?:rate|score|grade|rank)\b (?:each|both|how|it|the|these)\b|\b(?:on|using) a scale\b"
    r"|\b(?:from|between) (?:1|one|0|zero) (?:to|and) (?:\d+|five|ten)\b|\bout of (?:5|10|100|five|ten)\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"\b(?:yes or no|yes/no|true or false)\b", re.IGNORECASE)
_MANY = re.compile(
    r"\b(?:three|four|five|six|several|many|all) (?:\w{1,20} )?(?:responses|replies|answers|summaries)\b"
    r"|\bwhich (?:of (?:these|the) (?:two )?)?(?:responses|replies|answers|summaries) are\b",
    re.IGNORECASE,
)

_THING = "answer|reply|replies|output|completion|message|turn|summary|draft|text|translation|explanation|advice|code|story|words|post"
_MODEL = "ai|bot|chatbot|model|tutor"
_NAMES_RESPONSE = re.compile(
    r"\bresponses?\b|\bassistants?\b"
    rf"|\b(?:the|this|that|its|your|last|previous|preceding|above|latest|(?:{_MODEL})['’]s) (?:[\w'’-]{{1,20}} ){{0,3}}(?:{_THING})\b"
    rf"|\b(?:you|the (?:{_MODEL})) (?:has |have |just )?(?:said|wrote|written|answered|replied|responded)\b",
    re.IGNORECASE,
)

_REFUSAL = re.compile(
    r"\b(?:refus(?:e|es|al|als|ing)|declin(?:e|es|ing)|reject(?:s|ing)? the (?:request|question|prompt))\b"
    # `it can't help with that`, unlike `what does not help`
    r"|(?:^|[.!?:;,] ?|\b(?:it|you|assistant|response|and|then|simply|just|only|please|politely|to) )"
    r"(?:can ?not|can['’]t|will not|won['’]t|does not|doesn['’]t|do not|don['’]t|must not|should not|is unable to|not) "
    r"(?:help|assist|answer|comply|engage|respond|discuss)"
    r"(?= ?(?:[.,;!\"'”’]|\Z)| (?:with |to |in )?(?:that|this|it|(?:the|any|such|these|those) (?:[\w'’-]{1,20} ){0,3}"
    r"(?:requests?|questions?|prompts?|messages?|topics?|subjects?|user))\b)"
    r"|\b(?:simply|just|only) (?:say|says|answer|answers|reply|replies) [\"'“‘]?(?:no|sorry)\b|\bI(?:['’]m| am) sorry\b"
    r"|(?:^|[.!?:;,] ?|\b(?:and|then|please|politely) )(?:say|answer|reply|respond)(?: with)?(?: only| just| a)? [\"'“‘]?no(?=[\"'”’]?(?: ?[.,;!]|\Z| to\b))"
    r"|\bI (?:can ?not|can['’]t|will not|won['’]t|am unable to|am not able to) (?:help|assist|answer|comply|respond|discuss|do)\b",
    re.IGNORECASE,
)
_ANY_LANGUAGE = re.compile(r"refus(?:es?|als?)|declines?", re.IGNORECASE)
"""Of these phrases, those that are words of French, Spanish or Portuguese too, or taken over as a term; the others show that a
text is English."""
_ENGLISH_NEXT = re.compile(
    r" (?:to|the|it|any|all|every|this|that|these|those|such|when|if|with|and)\b", re.IGNORECASE
)
_NOT_THAT = re.compile(
    # what follows is to be avoided
    r"(?:\b(?:not|never|without|avoid\w*|instead of|rather than|no|nor|than|remov\w+|replac\w+|any|needless|unnecessary)|n['’]t)\b[^.?!;]{0,25}\Z"
    # what follows is said of the response as it was
    r"|\b(?:if|when|where|wherever|because|since|which) (?:[\w'’-]{1,20} ){0,4}[\"'“‘]?\Z",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\b(?:explain\w*|why|reasons?|because|offer\w*|suggest\w*|propos\w+|alternatives?|instead(?! of)|safer?|lawful|legal|point(?:s|ing)? (?:to|towards?|out)"
    r"|redirect\w*|resources|hotline|professionals?|show\w*|guid\w+|still|what (?:it|you|they) can|where to|who can|help\w* with (?:what|whatever|the rest)"
    r"|(?:an)?other ways?|better ways?|constructive\w*|acknowledg\w+)\b",
    re.IGNORECASE,
)


def preference_not_a_choice(text: Text) -> Iterator[Hit]:
    """A question that naming one of two responses does not answer."""
    for pattern, wrong in (
        (_RATING, "asks for a rating"),
        (_YES_NO, "asks for yes or no"),
        (_MANY, "is answered by none, one or several responses"),
    ):
        if (found := pattern.search(text.head)) and not text.in_quotes(found.start()):
            yield Hit(
                f"{wrong}, but the answer is one of two responses; ask which of the two is better",
                *found.span(),
            )
            return
    if not _CHOICE.search(_OTHER_CHOICE.sub("", text.head)):
        yield Hit("can't be answered by choosing one of two responses; ask which of the two is better")


def critique_names_no_response(text: Text) -> Iterator[Hit]:
    """A request for criticism that does not say of what."""
    if not _NAMES_RESPONSE.search(text.head):
        yield Hit('does not say what is to be criticised; name it, as "the assistant\'s last response"')


def flat_refusal(text: Text) -> Iterator[Hit]:
    """A request to refuse, and nothing else."""
    if _GOES_ON.search(text.head):
        return
    for found in _REFUSAL.finditer(text.head):
        if not (text.english or _is_english(found, text)):
            continue
        if not _NOT_THAT.search(text.head[max(0, found.start() - 60) : found.start()]):
            start = found.end() - len(found.group().lstrip(" .!?:;,"))
            yield Hit(
                "asks for a refusal and nothing else, which trains evasive answers; ask for the objection to be explained, and for what "
                "help there can be",
                start,
                found.end(),
            )
            return


def _is_english(refusal: re.Match[str], text: Text) -> bool:
    """Whether a request to refuse is English by its own words: a text of few words has too few common ones to be told by."""
    if text.in_quotes(refusal.start()):  # where any language may stand
        return False
    alone = _ANY_LANGUAGE.fullmatch(refusal.group()) is None
    return alone or _ENGLISH_NEXT.match(text.head, refusal.end()) is not None


RULES = (
    Rule(
        "preference-not-a-choice",
        "warning",
        "A preference can't be answered by choosing one of two responses.",
        "`label` shows two responses and scores the answers (A) and (B). A question that asks for yes or no, a rating or a description "
        "still gets one of the two letters, but by chance. English texts only.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Is the assistant's response kind to the user?
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder to the user?
""",
        fields=("preference",),
        english=True,
        check_text=preference_not_a_choice,
    ),
    Rule(
        "critique-names-no-response",
        "warning",
        "A critique does not name the response that it is about.",
        "What comes before it is a whole conversation. Weak models then criticise the user's question, or answer it once more. English texts "
        "only.",
        bad="""\
id: example
principles:
  - id: kind
    critique: Point out everything that is unkind or that mocks somebody.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    critique: Point out everything in the assistant's last response that is unkind or that mocks somebody.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
        fields=("critique",),
        english=True,
        check_text=critique_names_no_response,
    ),
    Rule(
        "flat-refusal",
        "warning",
        "A revision asks for a refusal, and for nothing beside it.",
        "The revisions become training data, so the model would learn to evade; that it engages and explains its objections instead is what the "
        "method is for (Bai et al. 2022, abstract). English wordings only.",
        bad="""\
id: example
principles:
  - id: break-ins
    critique: Say whether the assistant's last response helps anyone to break into a house.
    revision: Rewrite the assistant's last response so that it refuses to answer the question.
""",
        line=5,
        good="""\
id: example
principles:
  - id: break-ins
    critique: Say whether the assistant's last response helps anyone to break into a house.
    revision: >-
      Rewrite the assistant's last response so that it explains why it won't help with a break-in, and says who can open
      a door for somebody who is locked out.
""",
        fields=("revision",),
        check_text=flat_refusal,
    ),
)
