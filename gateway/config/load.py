"""From a YAML file to :class:`~gateway.config.model.Config`, or to the list of everything that is wrong with it.

Loading reads the one file and nothing else: no environment, no secrets, no certificates, no network.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.consistency import faults_across
from gateway.config.model import Config
from gateway.config.understood import Understood, join, section_kinds
from gateway.config.values import Section
from gateway.config.yaml import parse_yaml
from gateway.errors import ConfigError

#: A configuration is a page or two; this bounds what a wrong path can make us read.
MAXIMUM_FILE_BYTES = 1_048_576

_MESSAGES = {
    "missing": "must be set",
    "string_type": "must be a text (in quotes if it looks like a number)",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "tuple_type": "must be a list",
    "model_type": "must be a group of options",
    "mapping_type": "must be a group of names",
    "model_attributes_type": "must be a group of options",
    "string_pattern_mismatch": "contains characters that are not possible here, is empty, or is too long",
    "union_tag_not_found": "needs its option 'kind'",
}
_PREFIXES = ("Input should be ", "Value should ", "Value error, ", "String should ", "Tuple should ", "Mapping should ")


def load_config(path: Path) -> Config:
    """The configuration in a file.

    Raises:
        ConfigError: with every fault found.
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
    return parse_config(text)


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
    if not isinstance(raw, dict):
        raise ConfigError(("the configuration must be a mapping of options",))
    config, faults = _validate(raw)
    understood = Understood(Config, raw)
    for path, section in understood.all():
        faults.extend((join(path, option), message) for option, message in section.faults())
    faults.extend(faults_across(understood))
    if config is None or faults:
        raise ConfigError(tuple(dict.fromkeys(f"{path or 'configuration'}: {message}" for path, message in faults)))
    return config


def _validate(raw: dict[Any, Any]) -> tuple[Config | None, list[tuple[str, str]]]:
    # Validated as JSON because pydantic's strict mode takes a list for a tuple and a text for an enum only there.
    try:
        return Config.model_validate_json(json.dumps(raw)), []
    except ValidationError as error:
        return None, [_described(fault, raw) for fault in error.errors(include_url=False, include_input=False)]


def _described(fault: ErrorDetails, raw: object) -> tuple[str, str]:
    path, parent = _path_of(fault["loc"], raw)
    if fault["type"] == "extra_forbidden":
        return path, "unknown option" + _similar(fault["loc"], parent)
    message = _MESSAGES.get(fault["type"])
    if message is None:
        message = fault["msg"]
        for prefix in _PREFIXES:
            message = message.removeprefix(prefix)
        if message.startswith(("less", "greater", "'")):
            message = f"must be {message}"
    return path, message


def _path_of(location: tuple[int | str, ...], raw: object) -> tuple[str, object]:
    """An option's path as a user would write it, and the plain value of the group that contains it."""
    path, value, parent = "", raw, raw
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
            parent, value = value, value[step] if isinstance(value, list) and step < len(value) else None
        elif isinstance(value, Mapping) and step not in value and value.get("kind") == step:
            continue  # pydantic names the chosen kind of credentials; the file does not
        else:
            path = join(path, step)
            parent, value = value, value.get(step) if isinstance(value, Mapping) else None
    return path, parent


def _similar(location: tuple[int | str, ...], parent: object) -> str:
    """A suggestion for an option that does not exist: one of its group that is written much like it."""
    kinds: list[type[Section]] = [Config]
    for step in location[:-1]:
        # A step that is no option is an index, a name, or a kind of credentials: still the same group.
        fields = [kind.model_fields[step] for kind in kinds if isinstance(step, str) and step in kind.model_fields]
        kinds = list(section_kinds(fields[0].annotation)) if fields else kinds
    present = parent if isinstance(parent, Mapping) else {}
    options = {option for kind in kinds for option in kind.model_fields if option not in present}
    close = difflib.get_close_matches(str(location[-1]), sorted(options), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
