"""``python -m pydatatask_cli`` is the console program."""

from .entry import console_script

console_script()
