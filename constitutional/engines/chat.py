r"""From a conversation to the token ids that a model sees: for the engines that hold the model's tokenizer.

The model's own chat template is rendered and tokenised exactly as `apply_chat_template` would, unless a
content spells out one of the model's turn markers: then just those spellings are made harmless
(`escape.py`) and counted. Text from data can't open a chat turn. A model without a chat template gets the
plain transcript of Bai et al. (2022), `\n\nHuman: …\n\nAssistant:`.

An assistant's turn that ends the conversation is unfinished. The template, which might trim or close it,
doesn't render it: it is appended as it is to the opening that the template gives an assistant's turn, and
may be empty.

Templates that print today's date get a fixed one: the same conversation must give the same ids tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from constitutional.engines.escape import (
    any_of,
    escape_text_markers,
    folds_tokens,
    forbidden_tokens,
    split_token,
    text_markers,
)
from constitutional.errors import ConfigError, RequestRefused
from constitutional.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# White space stands inside expressions: templates are compiled with trim_blocks, which eats a newline after
# a tag.
TRANSCRIPT = (
    "{% for message in messages %}"
    "{{ '' if loop.first and message.role == 'system' else '\n\n' }}"
    "{{ {'system': '', 'user': 'Human: ', 'assistant': 'Assistant: '}[message.role] }}"
    "{{ message.content | trim }}"
    "{% endfor %}"
    "{{ '\n\nAssistant:' if add_generation_prompt else '' }}"
)

_DAY = datetime(2024, 7, 26)  # the day that Llama 3's template falls back to


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as the model sees it.

    Attributes:
        ids: token ids.
        escaped: how many turn markers spelt out in the contents were made harmless.
    """

    ids: list[int]
    escaped: int


class ChatEncoder:
    """Encodes conversations for one model.

    Attributes:
        stop: strings that end a turn of this model; empty where a token does.
        stop_ids: tokens that end a turn: the end of turn and the tokenizer's end of text.
        end_of_turn: what follows a finished assistant's turn.
        end_of_turn_ids: the same as token ids.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Learn from a few probes how the model's template opens, closes and separates turns.

        Args:
            tokenizer: a `transformers` tokenizer.

        Raises:
            ConfigError: the model's chat template can't render a plain conversation.
        """
        self._tokenizer = tokenizer
        self._backend = tokenizer.backend_tokenizer if tokenizer.is_fast else None
        if self._backend is not None:
            self._backend.no_truncation()
            self._backend.no_padding()
        self._template = None if tokenizer.chat_template else TRANSCRIPT
        self._newline = self._tokenise("\n")
        self._prefix = self._start_of_text() if self._template else []
        self._forbidden = any_of(forbidden_tokens(tokenizer))
        self._folds = folds_tokens(tokenizer)
        self._longest = max((len(token) for token in tokenizer.get_vocab()), default=1)
        self._merge_system = False
        try:
            self._probe()
        except (RequestRefused, ValueError) as error:
            raise ConfigError(
                f"the model's chat template can't render a plain conversation ({error}): "
                "use an instruction-tuned text model, or remove its chat template to use plain transcripts"
            ) from error

    def encode(self, messages: Sequence[Message]) -> Encoded:
        """The ids of a conversation, up to where the assistant goes on.

        Args:
            messages: one or more turns. If the last one is an assistant's, it is unfinished and the ids end
                with it; otherwise they end with the opening of an assistant's turn.

        Raises:
            RequestRefused: the template refuses this order of roles, or a content is not valid Unicode.
        """
        segments, escaped = self._segments(messages)
        return Encoded(self._ids(segments), escaped)

    def encode_options(
        self, messages: Sequence[Message], options: Sequence[str]
    ) -> tuple[Encoded, list[list[int]]]:
        """The ids of a conversation, and those of each option as its continuation.

        An option's ids are those that conversation and option together have beyond the conversation's. Where
        the option would merge with the conversation's last token, it is tokenised by itself.

        Raises:
            RequestRefused: as `encode`.
        """
        segments, escaped = self._segments(messages)
        context = self._ids(segments)
        tail = self._tail(segments[-1], context)
        known = self._tokenise(tail)
        return Encoded(context, escaped), [self._continuation(tail, known, option) for option in options]

    def tokens(self, text: str) -> list[int]:
        """The ids of a text within a conversation; a turn marker that it spells out is not formed."""
        return [id for piece in split_token(text, self._forbidden) for id in self._within(piece)]

    def fewest_tokens(self, messages: Sequence[Message]) -> int:
        """A lower bound of the length in tokens, at no cost: to refuse huge texts without tokenising them."""
        return sum(len(message.content) for message in messages) // self._longest

    def _probe(self) -> None:
        """Find out how the template treats systems, opens an assistant's turn and separates turns."""
        system, user, reply, again = (f"\ue000{n}\ue001" for n in range(4))
        asked = [Message("user", user)]
        try:
            self._merge_system = system not in self._render([Message("system", system), *asked], open=True)
        except RequestRefused:
            self._merge_system = True
        prompt = self._render(asked, open=True)
        answered = self._render([*asked, Message("assistant", reply)], open=False)
        opening = answered.partition(reply)[0]
        rest = opening[len(prompt) :] if opening.startswith(prompt) else ""
        opens = prompt != self._render(asked, open=False)
        # A template that ignores add_generation_prompt leaves the opening of the turn, if it has one, to us.
        self._after_prompt = "" if opens or not rest.strip() else rest
        self._before_content = rest
        longer = self._render([*asked, Message("assistant", reply), Message("user", again)], open=False)
        between = re.search(f"{user}(.*){reply}(.*){again}", longer, flags=re.DOTALL)
        if between is None:
            raise ValueError("it leaves out the contents of turns")
        to_reply, to_user = between.groups()
        plain = [glue for glue in (to_reply, to_user) if not self._forbidden.search(glue)]
        self._markers = text_markers(plain)
        end = self._forbidden.search(to_user)
        self.end_of_turn: str = end[0] if end else to_user.rstrip() or self._tokenizer.eos_token or "\n"
        self.end_of_turn_ids: list[int] = self._tokenise(self.end_of_turn)
        self.stop: tuple[str, ...] = tuple(
            glue.rstrip() for glue in (to_user, to_reply) if glue in plain and glue.strip()
        )
        eos = self._tokenizer.eos_token_id
        self.stop_ids: tuple[int, ...] = tuple(
            dict.fromkeys([*(self.end_of_turn_ids if end else []), *([] if eos is None else [eos])])
        )

    def _segments(self, messages: Sequence[Message]) -> tuple[list[str], int]:
        """The rendered conversation, cut wherever data spells out a turn marker, and how often it does."""
        if not messages:
            raise ValueError("a request needs at least one message")
        messages, escaped = self._escape_text(messages)
        if self._folds:
            messages = self._unfold(messages)
        found = [token for message in messages for token in self._forbidden.findall(message.content)]
        if not found:
            return [self._render_open(messages)], escaped
        mark = _unused_mark(messages)
        spelt = list(dict.fromkeys(found))
        sentinel = {token: f"{mark}{n}\ue002" for n, token in enumerate(spelt)}
        hidden = [
            Message(m.role, self._forbidden.sub(lambda match: sentinel[match[0]], m.content))
            for m in messages
        ]
        parts = re.split(f"{mark}(\\d+)\ue002", self._render_open(hidden))
        segments = []
        for position, part in enumerate(parts):
            if position % 2:
                segments.extend(split_token(spelt[int(part)], self._forbidden))
            else:
                segments.append(part)
        return segments, escaped + len(found)

    def _escape_text(self, messages: Sequence[Message]) -> tuple[Sequence[Message], int]:
        if self._markers is None:
            return messages, 0
        escaped = 0
        changed = []
        for message in messages:
            content, count = escape_text_markers(message.content, self._markers)
            escaped += count
            changed.append(Message(message.role, content) if count else message)
        return changed, escaped

    def _unfold(self, messages: Sequence[Message]) -> list[Message]:
        """Replace by their normal form the contents in which only that (width, case) shows a marker."""
        normal = [self._tokenizer.backend_tokenizer.normalizer.normalize_str(m.content) for m in messages]
        return [
            Message(m.role, n) if self._count(n) > self._count(m.content) else m
            for m, n in zip(messages, normal, strict=True)
        ]

    def _count(self, text: str) -> int:
        return len(self._forbidden.findall(text))

    def _render_open(self, messages: Sequence[Message]) -> str:
        """Render up to where the assistant goes on."""
        if messages[-1].role != "assistant":
            return self._render(messages, open=True) + self._after_prompt
        content = messages[-1].content
        between = self._before_content
        if not between.strip() and content[:1].strip() == "":
            between = (
                ""  # white space only sets a content off, and here there is none yet, or it brings its own
            )
        return self._render(messages[:-1], open=True) + between + content

    def _render(self, messages: Sequence[Message], *, open: bool) -> str:
        if self._merge_system:
            messages = _merge_systems(messages)
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                [message.to_row() for message in messages],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=open,
                date_string=f"{_DAY:%d %b %Y}",
                strftime_now=_DAY.strftime,
            )
        except (TemplateError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise RequestRefused(f"the model's chat template refuses this conversation: {error}") from error
        return rendered

    def _ids(self, segments: Sequence[str]) -> list[int]:
        ids = self._prefix + self._tokenise(segments[0])
        for segment in segments[1:]:
            ids += self._within(segment)
        return ids

    def _within(self, text: str) -> list[int]:
        """The ids of a text within another: without the space that some tokenizers put before a text."""
        joined = self._tokenise("\n" + text)
        size = len(self._newline)
        return joined[size:] if joined[:size] == self._newline else self._tokenise(text)

    def _tail(self, text: str, ids: list[int]) -> str:
        """The end of a text with these ids: what is tokenised again to see how an option continues it."""
        starts = [match.start() for match in self._forbidden.finditer(text)]
        if starts:
            tail = text[starts[-1] :]
            known = self._tokenise(tail)
            if ids[-len(known) :] == known:
                return tail
        return text

    def _continuation(self, tail: str, known: list[int], option: str) -> list[int]:
        if known and self._count(tail + option) == self._count(tail):
            joined = self._tokenise(tail + option)
            if joined[: len(known)] == known and len(joined) > len(known):
                return joined[len(known) :]
        return self.tokens(option)

    def _start_of_text(self) -> list[int]:
        """The ids that the tokenizer puts before a plain text, such as a beginning-of-sequence token."""
        with_special, plain = (
            self._tokenizer.encode("a"),
            self._tokenizer.encode("a", add_special_tokens=False),
        )
        return next(
            (with_special[:n] for n in range(len(with_special)) if with_special[n : n + len(plain)] == plain),
            [],
        )

    def _tokenise(self, text: str) -> list[int]:
        if not text:
            return []
        try:
            if self._backend is not None:
                ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
            else:
                ids = self._tokenizer.encode(text, add_special_tokens=False)
        except (UnicodeEncodeError, TypeError) as error:
            raise RequestRefused(
                "a content is not valid Unicode (it holds half of a surrogate pair)"
            ) from error
        return ids


def _merge_systems(messages: Sequence[Message]) -> list[Message]:
    """Put each system's text before the next user's, for templates without a system role."""
    merged: list[Message] = []
    waiting: list[str] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message.content)
        elif message.role == "user":
            merged.append(Message("user", "\n\n".join([*waiting, message.content])))
            waiting = []
        else:
            merged.append(message)
    if waiting:
        merged.append(Message("user", "\n\n".join(waiting)))
    return merged


def _unused_mark(messages: Sequence[Message]) -> str:
    """A string that stands in none of the contents and survives trimming."""
    number = 0
    while any(f"\ue000{number}\ue001" in message.content for message in messages):
        number += 1
    return f"\ue000{number}\ue001"
