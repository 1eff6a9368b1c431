"""`constitutional prompts`: list prompt sets, and show what their templates render."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from constitutional.constitution import Principle

_RESPONSE = "Sure. Here is how you could do that: …"
_OTHER = "I'd rather help you talk to them. What happened? …"
_CRITIQUE = "The response goes along with the request without asking what it is for …"
_RATIONALE = "The first helps with revenge, the second asks what happened …"
_SEEDS = ("How do I open a locked car?", "Write a mean poem about my boss.")


@click.group()
def prompts() -> None:
    """List prompt sets, and show what they render."""


@prompts.command("list")
def list_command() -> None:
    """List the prompt sets that a name can stand for.

    Examples are counted as those of critique and revision + those of comparisons.
    """
    from rich.table import Table

    from constitutional.cli.text import data_console, inert
    from constitutional.errors import TemplateError
    from constitutional.registry import list_prompt_sets
    from constitutional.templates import load_prompt_set

    table = Table("name", "templates", "examples", "from", "what it is for", box=None, pad_edge=False)
    for entry in list_prompt_sets():
        try:
            loaded = load_prompt_set(entry.path)
        except TemplateError as error:
            table.add_row(
                entry.name, "", "", entry.origin, f"not usable: {inert(str(error).splitlines()[0])}"
            )
            continue
        names = ", ".join(loaded.templates)
        examples = f"{len(loaded.examples)} + {len(loaded.preference_examples)}"
        table.add_row(entry.name, names, examples, entry.origin, inert(loaded.description))
    data_console().print(table)


@prompts.command("show")
@click.argument("template")
@click.option("--prompt-set", default="default", show_default=True, help="A name or a folder.")
@click.option(
    "--prompt", default="How do I get back at my neighbour?", show_default=True, help="A user turn."
)
@click.option("--response", default=_RESPONSE, show_default=True, help="The response that is asked about.")
@click.option("--other", default=_OTHER, show_default=True, help="A second one, for templates that compare.")
@click.option("--critique", default=_CRITIQUE, show_default=True, help="The critique of the response.")
@click.option("--rationale", default=_RATIONALE, show_default=True, help="A judge's reasoning.")
@click.option("--constitution", "-c", default="harmlessness", show_default=True, help="A name or a file.")
@click.option(
    "--principle", "-p", multiple=True, help="Id of a principle; the first one's if not given. Repeatable."
)
@click.option("--examples", type=click.IntRange(min=0), help="Few-shot examples to show; all if not given.")
@click.option("--stop-when-clean", is_flag=True, help="Ask critiques to say when nothing has to change.")
@click.option("--topic", help="What messages of `redteam` are to be about.")
@click.option("--model", "-m", help="Also show the exact text that this model (a name or a folder) is given.")
def show_command(
    template: str,
    prompt_set: str,
    prompt: str,
    response: str,
    other: str,
    critique: str,
    rationale: str,
    constitution: str,
    principle: tuple[str, ...],
    examples: int | None,
    stop_when_clean: bool,
    topic: str | None,
    model: str | None,
) -> None:
    """Show what TEMPLATE renders: every turn of the request to the model.

    Templates are respond, critique, revise and direct (for `revise`), judge, judge-reason and judge-answer (for `label`),
    score and score-write (for `score`), and redteam.
    """
    from constitutional.cli.text import inert
    from constitutional.errors import ConfigError
    from constitutional.records import conversation
    from constitutional.templates import JUDGE_TEMPLATES, TEMPLATES, Scale, load_prompt_set

    loaded = load_prompt_set(prompt_set)
    wanted = TEMPLATES.get(template, frozenset())
    rules: tuple[Principle, ...] = ()
    if wanted & {"principle", "principles"}:
        rules = _principles(constitution, principle, compared="principle" in wanted)
    if "principle" in wanted and len(principle) > 1:
        raise ConfigError(f"{template} asks about one principle at a time; give --principle once")
    lowest, highest = 1, 10
    ratings = tuple(str(rating) for rating in range(lowest, highest + 1))
    judged = template in JUDGE_TEMPLATES
    shown = loaded.preference_examples if judged else loaded.examples
    variables = {
        "prompt": conversation(prompt),
        "response": response,
        "responses": (response, other),
        "critique": critique,
        "rationale": rationale,
        "principles": rules,
        "principle": rules[0] if rules else None,
        "examples": shown[:examples],
        "clean_marker": loaded.clean_marker if stop_when_clean else None,
        "options": loaded.options if judged else ratings,
        "scale": Scale(lowest, highest),
        "seeds": _SEEDS,
        "number": 5,
        "topic": topic,
    }
    messages = loaded.render(template, **{name: value for name, value in variables.items() if name in wanted})
    for message in messages:
        click.echo(click.style(f"{message.role}:", fg="cyan", bold=True))
        click.echo(inert(message.content) + "\n")
    if model:
        from transformers import AutoTokenizer

        from constitutional.engines.chat import ChatEncoder
        from constitutional.models import resolve_model

        found = resolve_model(model)
        tokenizer = AutoTokenizer.from_pretrained(Path(found.path_or_id), revision=found.revision)
        ids = ChatEncoder(tokenizer).encode(messages).ids
        click.echo(click.style(f"as {model} reads it, {len(ids)} tokens:", fg="cyan", bold=True))
        click.echo(inert(tokenizer.decode(ids, skip_special_tokens=False)))


def _principles(constitution: str, ids: tuple[str, ...], *, compared: bool) -> tuple[Principle, ...]:
    """The named principles, or the first that can be asked about."""
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConfigError, nearest

    rules = load_constitution(constitution)
    usable = {rule.id: rule for rule in (rules.for_label() if compared else rules.for_revise())}
    what = "a preference question" if compared else "a critique and a revision"
    for id in ids:
        if id not in usable:
            raise ConfigError(f"{rules.id} has no principle {id!r} with {what}; {nearest(id, usable)}")
    return tuple(usable[id] for id in ids or list(usable)[:1])
