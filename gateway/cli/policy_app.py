"""``sealgate policy``: the commands about bucket policies."""

import typer

app = typer.Typer(
    name="policy",
    help="Try, check and write the bucket policies of the gateway.",
    no_args_is_help=True,
)
