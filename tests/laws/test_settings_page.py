"""docs/settings.md is what `make docs` would write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.web import CHECKOUT


def test_settings_page_is_up_to_date(tmp_path: Path) -> None:
    # Nothing of this run's environment but what finds programs, and what measures coverage.
    inherited = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COV")}
    required = {
        "DATABASE_URL": "postgresql://nobody@localhost/none",
        "REDIS_URL": "redis://localhost/0",
        "AUDITLOG_SECRET_KEY": "for a page, which signs nothing at all",
        "AUDITLOG_STATE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "auditlog_project.reference"], cwd=CHECKOUT, env=inherited | required, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (CHECKOUT / "docs" / "settings.md").read_text() == done.stdout, "run `make docs`"
