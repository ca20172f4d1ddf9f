#!/usr/bin/env python3
"""A Django project with SimpleJWT that embeds the chat as docs/EMBEDDING.md says."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
