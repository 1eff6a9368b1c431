"""One padded batch through `model.generate`, each row sampled as if it were alone.

Rows differ in temperature, top-k, top-p, length, stop strings and seed, and none of these comes from a
global state. A row's tokens are the argmax of its own filtered log-probabilities plus Gumbel noise from its
own generator, which is an exact sample (Maddison, Tarlow and Minka 2014, "A* sampling", section 2). What a
row gets depends on the other rows only through the numerical noise of the model's forward pass. A row may
also ask for log-probabilities instead of text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from constitutional.records import Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(slots=True, eq=False)
class Row:
    """One row of a batch.

    Attributes:
        ids: the request's tokens.
        sampling: how it is sampled, its stop strings complete.
        scored: tokens whose log-probabilities as the next one are asked for, instead of text.
        wanted: whether anybody still waits for it.
    """

    ids: list[int]
    sampling: Sampling
    scored: tuple[int, ...] = ()
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """What a row got: the tokens generated, and whether they ended by themselves; or log-probabilities."""

    ids: list[int]
    ended: bool
    logprobs: list[float]


class Decoder:
    """A loaded model, ready to run batches. Not safe for use by two threads at once."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int]
    ) -> None:
        """Take a model over: the sampling that its generation config recommends goes, its end tokens stay.

        Args:
            model: a causal language model of `transformers`.
            tokenizer: its tokenizer.
            stop_ids: tokens that end a generation, besides those the model itself names.
        """
        from transformers import GenerationConfig

        named = model.generation_config.eos_token_id
        named = [] if named is None else [named] if isinstance(named, int) else named
        self._stop_ids = sorted({*named, *stop_ids})
        pad = tokenizer.pad_token_id
        self._pad_id = pad if pad is not None else self._stop_ids[0] if self._stop_ids else 0
        model.generation_config = GenerationConfig()
        self._model, self._tokenizer = model, tokenizer

    def run(self, rows: Sequence[Row]) -> list[Written]:
        """Run one batch to its end: until every row has stopped, is full, or isn't wanted any more."""
        from transformers import GenerationConfig

        width = max(len(row.ids) for row in rows)
        device = self._model.device
        padded = [[self._pad_id] * (width - len(row.ids)) + row.ids for row in rows]
        mask = [[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows]
        sampler = Sampler(rows, device)
        watch = _Watch(rows, self._tokenizer, frozenset(self._stop_ids), width)
        with torch.inference_mode():
            output = self._model.generate(
                torch.tensor(padded, device=device),
                attention_mask=torch.tensor(mask, device=device),
                generation_config=GenerationConfig(
                    do_sample=False,
                    max_new_tokens=max(row.sampling.max_tokens for row in rows),
                    eos_token_id=self._stop_ids or None,
                    pad_token_id=self._pad_id,
                ),
                logits_processor=[sampler],
                stopping_criteria=[watch],
            )
        return [
            Written(output[number, width : width + length].tolist(), ended, sampler.logprobs[number])
            for number, (length, ended) in enumerate(watch.ends)
        ]

    def text(self, ids: Sequence[int], stop: Sequence[str]) -> str:
        """The text of some generated tokens, up to the first of the stop strings."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text[: min((at for at in map(text.find, stop) if at >= 0), default=len(text))]


class Sampler:
    """A logits processor after which the argmax is each row's sample."""

    def __init__(self, rows: Sequence[Row], device: torch.device) -> None:
        """Set up one generator a row.

        Args:
            rows: the rows of the batch.
            device: where the logits are.
        """
        self._rows = rows
        self.logprobs: list[list[float]] = [[] for _ in rows]
        samplings = [row.sampling for row in rows]
        drawn = [
            number for number, s in enumerate(samplings) if s.temperature > 0 and not rows[number].scored
        ]
        # Noise is made in float64, which MPS lacks: there it comes from the CPU.
        self._noise_device = device if device.type == "cuda" else torch.device("cpu")
        self._generators = {
            number: torch.Generator(self._noise_device).manual_seed(samplings[number].seed)
            for number in drawn
        }
        self._drawn = torch.tensor(drawn, dtype=torch.long, device=device)

        def column(values: list[Any], dtype: torch.dtype) -> Any:
            return torch.tensor([values[number] for number in drawn], dtype=dtype, device=device)[:, None]

        self._temperature = column([s.temperature for s in samplings], torch.float32)
        self._top_k = column([s.top_k for s in samplings], torch.long)
        self._top_p = column([s.top_p for s in samplings], torch.float32)
        self._widest = max((samplings[number].top_k for number in drawn), default=0)
        self._nucleus = any(samplings[number].top_p < 1 for number in drawn)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Replace the logits of sampled rows, shape `[rows, vocabulary]`, by perturbed log-probabilities."""
        self._read(scores)
        if len(self._drawn):
            chosen = self._filter(scores[self._drawn] / self._temperature)
            scores[self._drawn] = chosen + self._gumbel(chosen.shape[-1]).to(chosen.device)
        return scores

    def _read(self, scores: torch.Tensor) -> None:
        for number, row in enumerate(self._rows):
            if row.scored and not self.logprobs[number]:
                logprobs = torch.log_softmax(scores[number].float(), dim=-1)
                self.logprobs[number] = logprobs[list(row.scored)].tolist()

    def _filter(self, scores: torch.Tensor) -> torch.Tensor:
        """Put tokens outside of each row's top-k and top-p at minus infinity; temperature came before."""
        if self._widest:
            highest = scores.topk(min(self._widest, scores.shape[-1])).values
            last = highest.gather(1, (self._top_k - 1).clamp(0, highest.shape[-1] - 1))
            scores = scores.masked_fill((scores < last) & (self._top_k > 0), -math.inf)
        if self._nucleus:
            ordered, order = scores.sort(dim=-1, descending=True)
            probabilities = ordered.softmax(dim=-1)
            before = probabilities.cumsum(dim=-1) - probabilities
            outside = (before >= self._top_p) & (self._top_p < 1)
            outside[:, 0] = False
            scores = scores.masked_fill(outside.scatter(1, order, outside), -math.inf)
        return scores

    def _gumbel(self, vocabulary: int) -> torch.Tensor:
        """Standard Gumbel noise, in float64: with 24 bits the tail of a large vocabulary would be wrong."""
        uniform = torch.empty(
            len(self._generators), vocabulary, dtype=torch.float64, device=self._noise_device
        )
        for line, generator in zip(uniform, self._generators.values(), strict=True):
            line.uniform_(generator=generator)
        return uniform.log_().neg_().log_().neg_().float()


class _Watch:
    """A stopping criterion that knows each row's own end."""

    def __init__(
        self, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, stop_ids: frozenset[int], width: int
    ) -> None:
        self._rows, self._tokenizer, self._stop_ids, self._width = rows, tokenizer, stop_ids, width
        # A token holds at least one byte: a stop string just completed lies within as many tokens.
        self._reach = [max((len(stop.encode()) for stop in row.sampling.stop), default=0) + 4 for row in rows]
        self._done = [False] * len(rows)
        self.ends = [(0, False)] * len(rows)

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        length = input_ids.shape[1] - self._width
        recent = input_ids[:, self._width :][:, -max(self._reach) :].tolist()
        for number, row in enumerate(self._rows):
            if self._done[number]:
                continue
            tokens = recent[number][-self._reach[number] :]
            ended = tokens[-1] in self._stop_ids or self._has_stop(tokens, row.sampling.stop)
            self._done[number] = ended or length >= row.sampling.max_tokens or not row.wanted
            self.ends[number] = (length, ended)
        return torch.tensor(self._done, dtype=torch.bool, device=input_ids.device)

    def _has_stop(self, tokens: list[int], stops: Sequence[str]) -> bool:
        if not stops:
            return False
        tail = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return any(stop in tail for stop in stops)
