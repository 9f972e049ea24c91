"""The parts of a configuration that are fine by themselves, found even when other parts are not.

Checks across options run on these parts, so that one run names every fault: an unknown vault in one place is reported
together with a bad number in another.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError

from gateway.config.values import Section, takes_reference
from gateway.keys.secret_reference import SecretReference, parse_reference

#: Where several kinds of sections are possible, one of these options says which one it is.
TAG_OPTIONS = ("kind", "provider")

SectionType = TypeVar("SectionType", bound=Section)


class Understood:
    """Every valid section of a configuration by its path.

    Args:
        kind: the section that ``raw`` should be.
        raw: the plain values of the configuration file.
    """

    def __init__(self, kind: type[Section], raw: Mapping[str, object]) -> None:
        self._sections: dict[str, Section] = dict(_walk(kind, raw, ""))
        self._raw = raw

    def each(self, kind: type[SectionType]) -> Iterator[tuple[str, SectionType]]:
        """Path and value of every valid section of one kind, in the file's order."""
        for path, section in self._sections.items():
            if isinstance(section, kind):
                yield path, section

    def all(self) -> Iterator[tuple[str, Section]]:
        """Path and value of every valid section."""
        yield from self._sections.items()

    def value(self, option: str) -> object:
        """The plain value of a top-level option; None when it is not there."""
        return self._raw.get(option)

    def names(self, option: str) -> frozenset[str]:
        """The keys below a top-level option, also of entries that are not valid."""
        value = self.value(option)
        return frozenset(value) if isinstance(value, dict) else frozenset()

    def count(self, option: str) -> int:
        """How many entries a top-level list has, valid or not."""
        value = self.value(option)
        return len(value) if isinstance(value, list) else 0


def sections_of(section: Section, path: str = "") -> Iterator[tuple[str, Section]]:
    """Path and value of a valid section and of every section inside it."""
    yield path, section
    for option in type(section).model_fields:
        value = getattr(section, option)
        if isinstance(value, tuple):
            inside = [(f"[{index}]", item) for index, item in enumerate(value)]
        else:
            inside = [(f".{name}", item) for name, item in value.items()] if isinstance(value, dict) else [("", value)]
        for place, item in inside:
            if isinstance(item, Section):
                yield from sections_of(item, join(path, option) + place)


def references_in(section: Section) -> Iterator[tuple[str, SecretReference]]:
    """Option and reference of every secret that a section itself names."""
    for option, field in type(section).model_fields.items():
        value = getattr(section, option)
        if value is None or not takes_reference(field):
            continue
        if isinstance(value, tuple):
            yield from ((f"{option}[{index}]", parse_reference(item)) for index, item in enumerate(value))
        else:
            yield option, parse_reference(value)


def join(path: str, option: str) -> str:
    """The path of an option inside the section at ``path``."""
    return f"{path}.{option}" if path and option else path or option


def _walk(kind: type[Section], raw: object, path: str) -> Iterator[tuple[str, Section]]:
    with suppress(ValidationError):
        yield path, kind.model_validate_json(json.dumps(raw))
    values = raw if isinstance(raw, dict) else {}
    for option, field in kind.model_fields.items():
        for place, value in _entries(field.annotation, values.get(option), join(path, option)):
            section = _section_for(field.annotation, value)
            if section is not None:
                yield from _walk(section, value, place)


def _entries(annotation: Any, value: object, path: str) -> Iterator[tuple[str, object]]:  # noqa: ANN401  # a type expression
    """The places below an option where sections stand: the option, each item of a list, or each value of a mapping."""
    if isinstance(value, list):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, dict) and get_origin(annotation) is Mapping:
        yield from ((f"{path}.{name}", item) for name, item in value.items())
    elif value is not None:
        yield path, value


def _section_for(annotation: Any, value: object) -> type[Section] | None:  # noqa: ANN401  # a type expression
    """The kind of section that a value should be: the only one there is, or the one that the value names."""
    kinds = list(section_kinds(annotation))
    if len(kinds) == 1:
        return kinds[0]
    given = value if isinstance(value, dict) else {}
    for kind in kinds:
        option, tag = tag_of(kind)
        if given.get(option, kind.model_fields[option].default) == tag:
            return kind
    return None


def section_kinds(annotation: Any) -> Iterator[type[Section]]:  # noqa: ANN401  # a type expression
    """Every kind of section inside a type expression such as ``tuple[Rule, ...]`` or ``Mapping[str, Vault]``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from section_kinds(get_args(annotation)[0])
    elif origin in (Union, UnionType, tuple, Mapping):
        for argument in get_args(annotation):
            yield from section_kinds(argument)
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation


def tag_of(kind: type[Section]) -> tuple[str, str]:
    """The option by which a section is told from others in the same place, and its value there."""
    option = next(name for name in TAG_OPTIONS if name in kind.model_fields)
    return option, str(get_args(kind.model_fields[option].annotation)[0])


def every_tag(kind: type[Section]) -> frozenset[str]:
    """The tags of all sections below ``kind`` that share their place with others."""
    found: set[str] = set()
    for field in kind.model_fields.values():
        inner = list(section_kinds(field.annotation))
        if len(inner) > 1:
            found.update(tag_of(section)[1] for section in inner)
        for section in inner:
            found |= every_tag(section)
    return frozenset(found)
