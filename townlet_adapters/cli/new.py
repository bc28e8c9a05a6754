"""``townlet plugins new``."""

from pathlib import Path

import click

from townlet_adapters.cli import scaffold


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--kind",
    type=click.Choice(list(scaffold.KINDS)),
    default="sink",
    show_default=True,
    help="What the package offers.",
)
@click.option("--out", metavar="DIR", help="Folder to create for the package; by default ./NAME.")
def command(name: str, kind: str, out: str | None) -> None:
    """Write a new plugin package: a small working example, with tests of its contract.

    \b
    Examples:
      townlet plugins new townlet-bakery --kind hooks
      townlet plugins new townlet-mqtt --kind sink --out ~/src/townlet-mqtt
    """
    try:
        names = scaffold.names_of(name)
    except scaffold.NameTakenError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    folder = Path(out).expanduser() if out is not None else Path(names.distribution)
    scaffold.write(scaffold.render(names, kind), folder, scaffold.CHOOSE_OUT)
    click.echo(
        f"{folder}: a package '{names.distribution}' with an entry point '{names.entry_point}'; next:\n"
        f"  cd {folder}\n"
        "  pip install --editable '.[test]'\n"
        "  pytest\n"
        "  less README.md                           # how to allow it, and how to use it"
    )
