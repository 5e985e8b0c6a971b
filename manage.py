#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from django.core.management import execute_from_command_line

from project.engines.absent.postgresql.base import EnginesNotRunning


def main() -> None:
    """Run the command of the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        execute_from_command_line(sys.argv)
    except EnginesNotRunning as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
