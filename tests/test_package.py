"""The package as a whole: its public names, and that it starts as a module."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dualstyle


def test_the_module_runs_and_explains_itself(tmp_path):
    """In a process of its own: help is quick, because nothing heavy is imported for it."""
    code = (
        "import sys, runpy\n"
        "sys.argv = ['dualstyle', 'stylize', '--help']\n"
        "try:\n    runpy.run_module('dualstyle', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(dualstyle.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--preserve-color" in done.stdout


def test_public_names_exist():
    assert sorted(name for names in dualstyle._HOMES.values() for name in names) == sorted(
        dualstyle.__all__
    )
    assert all(getattr(dualstyle, name) for name in dualstyle.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = dualstyle.Nothing
