"""Credentials of a target: from the environment alone, never from the shop file, and never shown.

A connection is a variable as Airflow writes them, a URI or JSON: `RECSYS_CONNECTION_<NAME>`, else
`AIRFLOW_CONN_<NAME>`, the name in capitals and with `_` for `-`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from recsys.errors import ConfigError

PREFIXES = ("RECSYS_CONNECTION_", "AIRFLOW_CONN_")
_FEWEST_LETTERS = 4
_LONGEST = 300


@dataclass(frozen=True)
class Connection:
    """How to reach a target and as whom. Only the name shows when it is printed."""

    name: str
    host: str = field(default="", repr=False)
    port: int | None = field(default=None, repr=False)
    login: str = field(default="", repr=False)
    password: SecretStr = field(default=SecretStr(""), repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def scrubbed(self, text: object) -> str:
        """A text from outside as it may be shown: on one line, cut short, nothing of this connection in it."""
        shown = " ".join(str(text).split())
        for secret in sorted(self._secrets(), key=len, reverse=True):
            shown = shown.replace(secret, "***")
        return shown[:_LONGEST]

    def _secrets(self) -> set[str]:
        values = [self.password.get_secret_value(), *_texts(self.extra)]
        pieces = {piece for value in values for piece in (value, " ".join(value.split()), *value.split())}
        return {piece for piece in pieces if len(piece) >= _FEWEST_LETTERS}


def variable_of(name: str) -> str:
    """The environment variable that a connection is looked for in first."""
    return PREFIXES[0] + _capitals(name)


def is_set(name: str) -> bool:
    """Whether the environment has a connection of that name."""
    return any(os.environ.get(prefix + _capitals(name), "").strip() for prefix in PREFIXES)


def _capitals(name: str) -> str:
    return name.upper().replace("-", "_")


def credentials(name: str) -> Connection:
    """The connection of that name. Raises ConfigError, which never quotes it, when there is none or it is none."""
    for prefix in PREFIXES:
        variable = prefix + _capitals(name)
        text = os.environ.get(variable, "").strip()
        if text:
            try:
                return _from_json(name, text) if text.startswith("{") else _from_uri(name, text)
            except (ValueError, TypeError, AttributeError):
                raise ConfigError(
                    f"environment variable {variable}: is no connection; expected a URI such as "
                    "sftp://login:password@host:22 (parts percent-encoded) or JSON with host, login, password, extra."
                ) from None
    raise ConfigError(
        f"connection '{name}': set the environment variable {variable_of(name)} to a URI such as "
        "sftp://login:password@host:22, or to JSON; in Airflow make a connection of that id."
    )


def _from_json(name: str, text: str) -> Connection:
    content = json.loads(text)
    extra = content.get("extra") or {}
    return Connection(
        name,
        host=content.get("host") or "",
        port=int(content["port"]) if content.get("port") else None,
        login=content.get("login") or "",
        password=SecretStr(content.get("password") or ""),
        extra=dict(json.loads(extra) if isinstance(extra, str) else extra),
    )


def _from_uri(name: str, text: str) -> Connection:
    uri = urlsplit(text)
    if not uri.scheme:
        raise ValueError
    query = dict(parse_qsl(uri.query, keep_blank_values=True))
    extra = json.loads(query["__extra__"]) if "__extra__" in query else query
    return Connection(
        name,
        host=unquote(uri.hostname or ""),
        port=uri.port,
        login=unquote(uri.username or ""),
        password=SecretStr(unquote(uri.password or "")),
        extra=dict(extra),
    )


def _texts(value: object) -> list[str]:
    """Every text inside a nested value."""
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
