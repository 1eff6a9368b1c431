"""Make chat markers that are spelt out in contents harmless, where nobody here can tokenise them.

A server renders the chat template itself, from texts. A content that spells `<|im_start|>` or `[/INST]` would
become the token and could open a turn of its own. So every marker known from a chat format in use gets a
space after its first character: `< |im_start|>` stays readable and is no marker to any tokenizer. (Engines
that hold the tokenizer keep the text as it is, see `escape.py`.)
"""

from __future__ import annotations

import re

_MARKER = re.compile(
    r"<\|(?=[^<>|\s]{1,64}(?:\||>))"  # <|im_start|>, <|eot_id|>, <|turn>: ChatML, Llama 3, Phi, GLM, Gemma 4
    r"|<(?=[\w.:-]{1,64}\|>)"  # <turn|>
    r"|<｜(?=[^<>｜]{1,64}｜>)"  # DeepSeek
    r"|<(?=/?s>)"  # Llama 2, Mistral
    r"|<(?=(?:start|end)_of_(?:turn|image)>)"  # Gemma
    r"|<(?=(?:bos|eos|pad|unk|sop|eop|BOS_TOKEN|EOS_TOKEN)>)"
    r"|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])"
    r"|\[(?=g?MASK\])"
)


def escape_markers(text: str) -> tuple[str, int]:
    """Break every chat marker in a text by a space after its first character.

    Returns:
        The text, and how many markers were broken.
    """
    if "<" not in text and "[" not in text:
        return text, 0
    return _MARKER.subn(lambda found: f"{found.group()[0]} {found.group()[1:]}", text)
