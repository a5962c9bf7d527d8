"""The YAML of Sigma rules, read within bounds: by events first, which cost nothing, and only then into values."""

from __future__ import annotations

from typing import Any

import yaml
from sigma.rule.base import SigmaYAMLLoader

from accounts.problems import Fault, Invalid
from logs.alerts.definition import MAX_SIGMA_CHARACTERS

MAX_DOCUMENTS = 50
# Of one text. A rule has a few hundred.
MAX_NODES = 20_000
MAX_DEPTH = 12
POINTER = "/sigma"


def read_documents(text: str) -> list[dict[str, Any]]:
    """The rules in a YAML stream; empty documents are passed over. Raises Invalid."""
    if len(text) > MAX_SIGMA_CHARACTERS:
        raise Invalid([Fault(POINTER, "too_long", f"The text has {len(text)} characters; at most {MAX_SIGMA_CHARACTERS} are read.")])
    try:
        _check(text)
        found = [document for document in yaml.load_all(text, Loader=SigmaYAMLLoader) if document is not None]  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Invalid([Fault(POINTER, "bad_yaml", f"{where}{error.problem or error}.")]) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        # Dates and numbers that there are not, keys that can be none.
        raise Invalid([Fault(POINTER, "bad_yaml", f"This is no YAML that can be read: {error}.")]) from error
    if not found:
        raise Invalid([Fault(POINTER, "empty", "There is no Sigma rule in it.")])
    for index, document in enumerate(found):
        if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
            raise Invalid([Fault(f"{POINTER}/{index}", "bad_yaml", "A Sigma rule is a map with names as keys: title, logsource, detection, level.")])
    return found


def _check(text: str) -> None:
    """Raises Invalid for what is too much. Without aliases nothing grows when it is put together."""
    depth = documents = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader), start=1):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            detail = f"Line {line}: anchors and aliases (&, *) are not read. Write it out."
            raise Invalid([Fault(POINTER, "bad_yaml", detail)])
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if nodes > MAX_NODES or depth > MAX_DEPTH or documents > MAX_DOCUMENTS:
            bounds = f"{MAX_DOCUMENTS} documents, {MAX_NODES} parts, {MAX_DEPTH} levels"
            raise Invalid([Fault(POINTER, "sigma_too_large", f"Line {line}: there is more than is read ({bounds}).")])
