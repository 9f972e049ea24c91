"""The shipped configurations load, and the example shows every option with its real default."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.config.understood import section_kinds
from gateway.config.values import Section

SHIPPED = Path(__file__).parents[2] / "config"
#: What is no configuration: tables for `sealgate policy test`.
TABLES_OF_CASES = {SHIPPED / "policy-cases.example.yaml"}
EXAMPLE = SHIPPED / "sealgate.example.yaml"
#: Options that the example shows in a comment, because another one there excludes them.
COMMENTED = {("Rule", "allowed_kms_key_names"), ("Rule", "kms_key_name")}


def kinds(kind: type[Section]) -> Iterator[type[Section]]:
    """A kind of section and every kind inside it."""
    yield kind
    for field in kind.model_fields.values():
        for inner in section_kinds(field.annotation):
            yield from kinds(inner)


def options() -> Iterator[tuple[str, str, FieldInfo]]:
    for kind in dict.fromkeys(kinds(Config)):
        for option, field in kind.model_fields.items():
            yield kind.__name__, option, field


def shown(section: Section) -> Iterator[tuple[str, str]]:
    """Every option that is written out somewhere below a section."""
    for option in section.model_fields_set:
        yield type(section).__name__, option
        value = getattr(section, option)
        for inner in value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else [value]:
            if isinstance(inner, Section):
                yield from shown(inner)


@pytest.mark.parametrize("file", sorted(set(SHIPPED.rglob("*.yaml")) - TABLES_OF_CASES), ids=lambda file: file.name)
def test_shipped_configuration_loads(file: Path) -> None:
    load_config(file)


def test_example_shows_every_option() -> None:
    """An option that is added to the model has to be added to the example."""
    missing = {(kind, option) for kind, option, _ in options()} - set(shown(load_config(EXAMPLE)))
    assert missing == COMMENTED
    text = EXAMPLE.read_text()
    assert all(f"# {option}: " in text for _, option in COMMENTED)


def described_default(option: str) -> set[str]:
    """What the example says about an option: the words after ``Default``, or ``Required``."""
    said: set[str] = set()
    comment = ""
    for line in EXAMPLE.read_text().splitlines():
        if line.strip().startswith("#") and not line.strip().startswith(f"# {option}:"):
            comment = line if "Default" in line or "Required" in line else comment
            continue
        found = re.match(rf"[\s#-]*{option}:", line)
        if found:
            own = line if "Default" in line or "Required" in line else comment
            said.update(re.findall(r"Default (\S+)", own))
            said.update(re.findall(r"Required", own))
        comment = ""
    return {word.rstrip(".,;:") for word in said}


def plain_defaults() -> Iterator[tuple[str, str]]:
    for _, option, field in options():
        if isinstance(field.default, bool):
            yield option, str(field.default).lower()
        elif isinstance(field.default, str | int | float):
            yield option, f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


@pytest.mark.parametrize(("option", "default"), sorted(set(plain_defaults())))
def test_example_tells_the_default(option: str, default: str) -> None:
    """The default in the comment is the one in the code."""
    assert default in described_default(option)


@pytest.mark.parametrize(
    ("kind", "option", "field"), list(options()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_option_is_described(kind: str, option: str, field: FieldInfo) -> None:
    assert field.description
    assert field.description.endswith((".", "`"))
