"""What the tests of import and export draw: texts that look like everything they are not, and constitutions of them."""

from hypothesis import strategies as st

from constitutional import Constitution, Message, Principle
from constitutional.prompt_examples import Example, PreferenceExample

ALPHABET = st.characters(
    codec="utf-8",
    exclude_categories=("Cc", "Cs"),
    include_characters="\t\n\r\x85",
    exclude_characters="\ufffe\uffff",
)
PIECES = st.sampled_from(
    [
        "CritiqueRequest:", "\n\nCritiqueRequest: ", "\n\nCritique:", "Critique request:", "\n\nRevisionRequest: ",
        "\n\nRevision:", " Options:", "\nOptions:", "\n\nHuman:", "\n\nHuman: ", "\n\nAssistant:", "\n\nH: ", "\n\nA: ",
        "yes", "~", "1:30", "0x1f", "1e3", "2026-01-01", "=1+1", "+1", "-1", "@x", "'", "'=", "''=x", "＝1", "- ", "* ",
        "1. ", "# ", "#", ": ", ":", ", ", ",", ";", "\t", "\n", "\n\n", "\r\n", "\r", "  ", "   \n", "\n   ", "{}", "]]]",
        "]]]\n (B) [[[", "\n\n{}\n", "[[[", '"', '\\"', "'x'", "%", "&a", "*a", "!tag", "|", ">", "---", "...", "{{ x }}",
        "\x85", "\u2028", "\ufeff", "\u200f", "שלום", "مرحبا", "😀", "🏳️‍🌈", "e\u0301", "\U0010fffd", "Is it true?", "a b c. ",
        "word " * 30, "Identify every way in which the assistant's last response breaks this rule: ",
    ]
)  # fmt: skip
raw_texts = st.lists(PIECES | st.text(ALPHABET, max_size=12), max_size=8).map("".join)
"""Any text that a file can hold."""
texts = raw_texts.map(str.strip).filter(bool)
"""What a principle can have: not empty, no outer white space."""
ids = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
weights = st.just(1.0) | st.floats(min_value=1e-300, max_value=1e300)


@st.composite
def principles(draw):
    pair = draw(st.booleans())
    preference = draw(st.booleans()) if pair else True
    return Principle(
        id=draw(ids),
        critique=draw(texts) if pair else None,
        revision=draw(texts) if pair else None,
        preference=draw(texts) if preference else None,
        weight=draw(weights),
        tags=tuple(draw(st.lists(raw_texts, max_size=3))),
        source=draw(st.none() | st.just("") | texts),
    )


constitutions = st.builds(
    Constitution,
    id=ids,
    principles=st.lists(principles(), min_size=1, max_size=5, unique_by=lambda p: p.id),
    version=st.integers(1, 9),
    description=st.just("") | texts,
)


@st.composite
def prompts(draw):
    rounds = draw(st.lists(st.tuples(texts, texts), max_size=2))
    turns = [
        Message(role, text) for pair in rounds for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return (*turns, Message("user", draw(texts)))


examples = st.builds(Example, prompts(), texts, texts, texts) | st.builds(
    Example, prompts(), texts, texts, texts, texts, texts
)
preference_examples = st.builds(
    PreferenceExample, prompts(), st.tuples(texts, texts), st.sampled_from("AB"), st.none() | texts
)
