"""Prints docs/settings.md from the declarations in `settings` (`make docs`): `python -m auditlog_project.reference`."""

from __future__ import annotations

from collections.abc import Iterable

from auditlog_project.env import Declaration

HEAD = """# Settings

All settings are environment variables. A name that starts with `AUDITLOG_` and is not listed here is refused at the start,
so a misspelt one can't be silently without effect. Any of them may come from a file instead: `NAME_FILE` holds its path.

This page is written by `make docs`; the declarations are in `auditlog_project/settings.py`.

| name | kind | default | meaning |
|---|---|---|---|
"""


def settings_page(declarations: Iterable[Declaration]) -> str:
    """The page as Markdown, a row for each declaration, in their order."""
    return HEAD + "".join(f"| `{one.name}` | {_cell(one.kind)} | {_cell(one.default)} | {_cell(one.meaning)} |\n" for one in declarations)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    from auditlog_project.settings import env

    print(settings_page(env.declarations), end="")
