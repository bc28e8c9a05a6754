"""``townlet bench``."""

import click


@click.command("bench")
def command() -> None:
    """Measure the speed."""
