"""Typed readers for settings from the environment.

Every variable is declared once, with its type, default and meaning; the declarations are the reference table. A name
that starts with `AUDITLOG_` and is not declared is refused, so that a misspelt setting can't be silently without effect.
A secret may come from a file instead: `NAME_FILE` holds the path.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

PREFIX = "AUDITLOG_"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Declaration:
    """One variable: what the reference table says about it."""

    name: str
    kind: str
    default: str
    meaning: str


class Environment:
    """Reads variables from `values`, and remembers which ones were declared."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.declarations: list[Declaration] = []

    def is_set(self, name: str) -> bool:
        """Is there a value for `name`, its own or in a file?"""
        return bool(self._values.get(name) or self._values.get(name + "_FILE"))

    def use_file_for_absent(self, path: Path) -> None:
        """Take the `NAME=value` lines of `path`, if it exists, for variables that are not set."""
        if not path.exists():
            return
        for line in path.read_text().splitlines():
            name, found, value = line.partition("=")
            # A secret in the environment counts before its file here.
            if found and not self.is_set(name) and not self.is_set(name.removesuffix("_FILE")):
                self._values[name] = "".join(shlex.split(value))

    def text(self, name: str, default: str | None, meaning: str, *, shown_default: str | None = None) -> str:
        """A string. Without a default the variable is required. Raises ImproperlyConfigured when it is absent.

        `shown_default` is for the reference table, where the default is another on each machine.
        """
        return self._read(name, "text", default, meaning, str, shown_default)

    def integer(self, name: str, default: int, meaning: str, *, least: int = 0, most: int | None = None, shown_default: str | None = None) -> int:
        """A whole number in `least..most`."""

        def convert(text: str) -> int:
            value = int(text)
            if value < least or (most is not None and value > most):
                raise ValueError(f"has to be at least {least}" + (f" and at most {most}" if most is not None else ""))
            return value

        return self._read(name, "whole number", str(default), meaning, convert, shown_default)

    def seconds(self, name: str, default: float, meaning: str) -> float:
        """A length of time in seconds, above zero."""

        def convert(text: str) -> float:
            value = float(text)
            if not 0 < value < float("inf"):
                raise ValueError("has to be above zero")
            return value

        return self._read(name, "seconds", f"{default:g}", meaning, convert)

    def boolean(self, name: str, default: bool, meaning: str) -> bool:
        def convert(text: str) -> bool:
            try:
                return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}[text.lower()]
            except KeyError:
                raise ValueError("has to be true or false") from None

        return self._read(name, "true or false", "true" if default else "false", meaning, convert)

    def choice(self, name: str, choices: tuple[str, ...], default: str, meaning: str, *, shown_default: str | None = None) -> str:
        def convert(text: str) -> str:
            if text not in choices:
                raise ValueError(f"has to be one of {', '.join(choices)}")
            return text

        return self._read(name, " | ".join(choices), default, meaning, convert, shown_default)

    def items(self, name: str, default: str, meaning: str) -> list[str]:
        """A list, separated by commas."""
        return self._read(name, "list", default, meaning, lambda text: [item.strip() for item in text.split(",") if item.strip()])

    def networks(self, name: str, default: str, meaning: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """Networks (`10.0.0.0/8`) or single addresses, separated by commas."""
        return self._read(name, "networks", default, meaning, lambda text: [ipaddress.ip_network(item.strip()) for item in text.split(",") if item.strip()])

    def _read(self, name: str, kind: str, default: str | None, meaning: str, convert: Callable[[str], Value], shown_default: str | None = None) -> Value:
        shown = shown_default or ("(required)" if default is None else default)
        self.declarations.append(Declaration(name, kind, shown, meaning))
        text = self._values.get(name)
        file_name = self._values.get(name + "_FILE")
        if text is not None and file_name is not None:
            raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one.")
        if file_name is not None:
            try:
                text = Path(file_name).read_text().strip()
            except OSError as error:
                raise ImproperlyConfigured(f"{name}_FILE: {error}") from error
        if text is None or text == "":
            text = default
        if text is None:
            raise ImproperlyConfigured(f"{name} is not set. {meaning} (`make run` sets it for the embedded servers.)")
        try:
            return convert(text)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}={text!r} is no {kind}: {error}") from error

    def refuse_unknown(self) -> None:
        """Raise ImproperlyConfigured if a variable with our prefix was never declared."""
        known = {declaration.name for declaration in self.declarations}
        known |= {name + "_FILE" for name in known}
        unknown = sorted(name for name in self._values if name.startswith(PREFIX) and name not in known)
        if unknown:
            raise ImproperlyConfigured(f"Unknown setting(s) {', '.join(unknown)}. docs/settings.md lists the known ones.")
