"""The reference in the documentation is the one that the options give."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.config.model import Config
from gateway.config.reference import render_reference
from gateway.config.understood import section_kinds

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_document_is_up_to_date() -> None:
    """After a change: replace what is between the marks by what ``sealgate options`` prints."""
    _, _, rest = DOCUMENT.read_text().partition("<!-- options: begin")
    _, _, rest = rest.partition("-->\n")
    assert rest.partition("<!-- options: end -->")[0].strip() == render_reference().strip()


def test_command_prints_the_reference() -> None:
    result = CliRunner().invoke(app, ["options"])
    assert result.exit_code == 0
    assert result.stdout.strip() == render_reference().strip()


@pytest.mark.parametrize(
    "row",
    [
        "| `port` | whole number | `8443` | TCP port; 0 lets the system choose one. |",
        "| `certificate` | text | *required* | PEM file: the certificate, then its intermediates. |",
        "| `client_certificates` | `off`, `optional`, `required` | `off` | ",
        "| `access_log` | `true` or `false` | `true` | ",
        "| `timeout_seconds` | number | `5` | ",
        "| `mode` | `none`, `sse-s3`, `sse-kms`, `dsse-kms`, `sse-c`, `cse` | *required* | ",
        "| `existing` | `none`, `plaintext` | `none` | ",
        "| `wrapping_keys` | groups by name | none | ",
        "| `location` | text | `file:///var/lib/sealgate/staging` | ",
        "| `encryption_context` | texts by name | none | ",
        "| `buckets` | list of texts | *required* | ",
        "| `vaults` | groups by name | none | ",
    ],
)
def test_row(row: str) -> None:
    assert row in render_reference()


def test_every_group_has_a_table() -> None:
    text = render_reference()
    for option, field in Config.model_fields.items():
        for _ in section_kinds(field.annotation):
            assert f"### `{option}" in text
