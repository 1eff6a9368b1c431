"""`constitutional prompts`: list prompt sets, and show what their templates render."""

from __future__ import annotations

from pathlib import Path

import click

_RESPONSE = "Sure. Here is how you could do that: …"
_CRITIQUE = "The response goes along with the request without asking what it is for …"


@click.group()
def prompts() -> None:
    """List prompt sets, and show what they render."""


@prompts.command("list")
def list_command() -> None:
    """List the prompt sets that a name can stand for, with their templates."""
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
        table.add_row(entry.name, names, str(len(loaded.examples)), entry.origin, inert(loaded.description))
    data_console().print(table)


@prompts.command("show")
@click.argument("template")
@click.option("--prompt-set", default="default", show_default=True, help="A name or a folder.")
@click.option(
    "--prompt", default="How do I get back at my neighbour?", show_default=True, help="A user turn."
)
@click.option("--response", default=_RESPONSE, show_default=True, help="The response that is asked about.")
@click.option("--critique", default=_CRITIQUE, show_default=True, help="The critique of it.")
@click.option("--constitution", "-c", default="harmlessness", show_default=True, help="A name or a file.")
@click.option(
    "--principle", "-p", multiple=True, help="Id of a principle; the first one's if not given. Repeatable."
)
@click.option("--examples", type=click.IntRange(min=0), help="Few-shot examples to show; all if not given.")
@click.option("--stop-when-clean", is_flag=True, help="Ask critiques to say when nothing has to change.")
@click.option("--model", "-m", help="Also show the exact text that this model (a name or a folder) is given.")
def show_command(
    template: str,
    prompt_set: str,
    prompt: str,
    response: str,
    critique: str,
    constitution: str,
    principle: tuple[str, ...],
    examples: int | None,
    stop_when_clean: bool,
    model: str | None,
) -> None:
    """Show what TEMPLATE (respond, critique, revise or direct) renders: every turn of the request to the model."""
    from constitutional.cli.text import inert
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConfigError, nearest
    from constitutional.records import conversation
    from constitutional.templates import TEMPLATES, load_prompt_set

    loaded = load_prompt_set(prompt_set)
    rules = load_constitution(constitution)
    usable = {rule.id: rule for rule in rules.for_revise()}
    for id in principle:
        if id not in usable:
            raise ConfigError(
                f"{rules.id} has no principle {id!r} with a critique and a revision; {nearest(id, usable)}"
            )
    chosen = tuple(usable[id] for id in principle or list(usable)[:1])
    variables = {
        "prompt": conversation(prompt),
        "response": response,
        "critique": critique,
        "principles": chosen,
        "examples": loaded.examples[:examples],
        "clean_marker": loaded.clean_marker if stop_when_clean else None,
    }
    wanted = TEMPLATES.get(template, frozenset())
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
