"""`constitutional completion`: tab completion for the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands in SHELL.

    bash: add `eval "$(constitutional completion bash)"` to ~/.bashrc; zsh likewise to ~/.zshrc;
    fish: `constitutional completion fish > ~/.config/fish/completions/constitutional.fish`.
    """
    from constitutional.cli import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "constitutional", "_CONSTITUTIONAL_COMPLETE").source())
