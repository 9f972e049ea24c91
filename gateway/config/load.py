"""From a YAML file to :class:`~gateway.config.model.Config`, or to the list of everything that is wrong with it.

Loading reads the one file and nothing else: no environment, no secrets, no certificates, no network.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.consistency import faults_across
from gateway.config.model import Config
from gateway.config.understood import SectionType, Understood, every_tag, join, section_kinds, tag_of
from gateway.config.values import Section
from gateway.config.yaml import parse_yaml
from gateway.errors import ConfigError

#: A configuration is a page or two; this bounds what a wrong path can make us read.
MAXIMUM_FILE_BYTES = 1_048_576

#: What a user reads for each kind of pydantic error. None repeats the value; other kinds get one fixed text.
_MESSAGES: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must be a group of names",
    "enum": "must be {expected}",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "missing": "must be set",
    "model_type": "must be a group of options",
    "string_pattern_mismatch": "contains characters that are not possible here, is empty, or is too long",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a text (in quotes if it looks like a number)",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "union_tag_invalid": "its option {discriminator} must be one of {expected_tags}",
    "union_tag_not_found": "needs its option {discriminator}",
    "unknown_provider": "its option 'provider' must be one of {expected_tags}",
    "value_error": "{error}",
}

#: What tells groups of options apart that can stand in the same place, such as ``static`` or ``aws-kms``.
_TAGS = every_tag(Config)


def load_config(path: Path) -> Config:
    """The configuration in a file.

    Raises:
        ConfigError: with every fault found.
    """
    return parse_config(read_text(path))


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: it can not be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise ConfigError((f"{path}: {error.strerror}",)) from None
    except UnicodeDecodeError:
        raise ConfigError((f"{path}: is not UTF-8 text",)) from None
    if len(content) > MAXIMUM_FILE_BYTES:
        raise ConfigError((f"{path}: is larger than {MAXIMUM_FILE_BYTES} bytes",))
    return text


def parse_config(text: str) -> Config:
    """The configuration in a YAML text.

    Raises:
        ConfigError: with every fault found.
    """
    return check_config(parse_yaml(text))


def check_config(raw: object) -> Config:
    """The configuration in plain values: mappings, lists, texts, numbers, booleans.

    Raises:
        ConfigError: with every fault found.
    """
    return check_section(Config, raw, "configuration", faults_across)


def check_section(
    kind: type[SectionType],
    raw: object,
    called: str,
    across: Callable[[Understood], Iterable[tuple[str, str]]] = lambda _: (),
) -> SectionType:
    """Plain values as the options of one group.

    Args:
        kind: the group.
        raw: the plain values: mappings, lists, texts, numbers, booleans.
        called: what faults call the whole.
        across: options that do not fit together beyond one group.

    Raises:
        ConfigError: with every fault found.
    """
    if not isinstance(raw, dict):
        raise ConfigError((f"the {called} must be a mapping of options",))
    section, faults = _validate(kind, raw)
    understood = Understood(kind, raw)
    for path, inner in understood.all():
        faults.extend((join(path, option), message) for option, message in inner.faults())
    faults.extend(across(understood))
    if section is None or faults:
        raise ConfigError(tuple(dict.fromkeys(f"{path or called}: {message}" for path, message in faults)))
    return section


def _validate(kind: type[SectionType], raw: dict[Any, Any]) -> tuple[SectionType | None, list[tuple[str, str]]]:
    # Validated as JSON because pydantic's strict mode takes a list for a tuple and a text for an enum only there.
    try:
        return kind.model_validate_json(json.dumps(raw)), []
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    return None, [_described(kind, fault, raw) for fault in faults if not _is_echo(fault, raw)]


def _is_echo(fault: ErrorDetails, raw: object) -> bool:
    """Whether a list counts as empty only because its entries have faults, which are told themselves."""
    return fault["type"] == "too_short" and bool(_Place(fault["loc"], raw).value)


def _described(kind: type[Section], fault: ErrorDetails, raw: object) -> tuple[str, str]:
    place = _Place(fault["loc"], raw)
    if fault["type"] == "extra_forbidden":
        return place.path, "unknown option" + _similar(kind, fault["loc"], place.group)
    message = _MESSAGES.get(fault["type"], "is not possible here")
    return place.path, message.format_map(fault.get("ctx", {}))


class _Place:
    """Where pydantic found a fault.

    Args:
        location: pydantic's steps from the top.
        raw: the plain values of the file.

    Attributes:
        path: the option as a user would write it.
        value: its plain value, None when it is not there.
        group: the plain value of the group that contains it.
    """

    def __init__(self, location: tuple[int | str, ...], raw: object) -> None:
        self.path, self.value, self.group = "", raw, raw
        for step in location:
            if isinstance(step, int):
                inner = self.value[step] if isinstance(self.value, list) and step < len(self.value) else None
                self._enter(f"{self.path}[{step}]", inner)
            elif isinstance(self.value, Mapping) and step not in self.value and step in _TAGS:
                continue  # pydantic names the chosen kind of group; the file does not
            elif step != "[key]":  # it says so when the name itself is at fault
                inner = self.value.get(step) if isinstance(self.value, Mapping) else None
                self._enter(join(self.path, step), inner)

    def _enter(self, path: str, value: object) -> None:
        self.path, self.value, self.group = path, value, self.value


def _similar(whole: type[Section], location: tuple[int | str, ...], group: object) -> str:
    """A suggestion for an option that does not exist: one of its group that is written much like it, and not set."""
    kinds: list[type[Section]] = [whole]
    for step in location[:-1]:
        # A step that is no option is an index or a name, or says which kind of group it is: still the same group.
        fields = [kind.model_fields[step] for kind in kinds if isinstance(step, str) and step in kind.model_fields]
        if fields:
            kinds = list(section_kinds(fields[0].annotation))
        elif step in _TAGS:
            kinds = [kind for kind in kinds if tag_of(kind)[1] == step]
    present = group if isinstance(group, Mapping) else {}
    options = {option for kind in kinds for option in kind.model_fields if option not in present}
    close = difflib.get_close_matches(str(location[-1]), sorted(options), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
