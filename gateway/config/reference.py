"""Every option as Markdown tables, made from the options themselves so that the two can not differ."""

import enum
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from gateway.config.model import Config
from gateway.config.understood import join, section_kinds, tag_of
from gateway.config.values import Section

_KINDS = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}


def render_reference() -> str:
    """One table for each group of options, outermost first."""
    return "\n".join(_groups(Config, "", set()))


def _groups(kind: type[Section], path: str, seen: set[str]) -> Iterator[str]:
    if kind.__name__ in seen:
        return  # such as credentials of the same kind in a second place
    seen.add(kind.__name__)
    summary = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")
    yield f"### {f'`{path}`' if path else 'Top level'}\n\n{summary}\n"
    yield "| option | value | default | meaning |\n|---|---|---|---|"
    yield "\n".join(_row(option, field) for option, field in kind.model_fields.items()) + "\n"
    for option, field in kind.model_fields.items():
        inner = list(section_kinds(field.annotation))
        for section in inner:
            place = join(path, option) + _place(field.annotation)
            yield from _groups(section, place + (f" ({tag_of(section)[1]})" if len(inner) > 1 else ""), seen)


def _row(option: str, field: FieldInfo) -> str:
    value, meaning = _value(field.annotation), (field.description or "").replace("|", "\\|")
    return f"| `{option}` | {value} | {_default(field)} | {meaning} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    default = field.default
    if default is None or default in ((), {}):
        return "none"
    if isinstance(default, Section):
        return "see below"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _place(annotation: Any) -> str:  # noqa: ANN401  # a type expression
    """How the entries of a list or a mapping are written in a path."""
    return {tuple: "[]", Mapping: ".NAME"}.get(get_origin(annotation), "")


def _value(annotation: Any) -> str:  # noqa: ANN401  # a type expression
    origin, arguments = get_origin(annotation), get_args(annotation)
    if next(section_kinds(annotation), None) is not None:
        return {tuple: "list of groups", Mapping: "groups by name"}.get(origin, "group")
    if origin is Annotated:
        return _value(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return ", ".join(_value(argument) for argument in arguments if argument is not NoneType)
    if origin is tuple:
        return "list of texts"
    if origin is Mapping:
        return "texts by name"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{choice.value}`" for choice in annotation)
    return _KINDS.get(annotation, "text")
