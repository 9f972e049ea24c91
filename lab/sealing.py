"""What a gateway needs for mode ``cse``: a keyring file with one wrapping key, and a staging directory."""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

#: The wrapping key's name in the configuration.
WRAPPING_KEY = "lab"


def sealing_options(directory: Path) -> dict[str, Any]:
    """Sections for the configuration of every gateway that shares ``directory``.

    Args:
        directory: the keyring is in it and is made when it is missing; staged parts are in a directory below it.
    """
    staging = directory / "staging"
    staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "wrapping_keys": {WRAPPING_KEY: {"provider": "local", "keyring": str(keyring_in(directory))}},
        "staging": {"location": staging.as_uri()},
    }


def keyring_in(directory: Path) -> Path:
    """The keyring file in ``directory``, made when it is missing."""
    path = directory / "keyring.json"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    key = {
        "id": "lab-1",
        "created": "2026-01-01T00:00:00Z",
        "key": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    path.write_text(json.dumps({"format": "sealgate-keyring", "version": 1, "current": key["id"], "keys": [key]}))
    return path


def sealed_rule(*buckets: str, name: str = "sealed", **options: Any) -> dict[str, Any]:
    """A rule of mode ``cse`` with the laboratory's wrapping key."""
    return {"name": name, "buckets": list(buckets), "mode": "cse", "wrapping_key": WRAPPING_KEY, **options}
