"""Compares everything with the engine."""

import sys

from django.core.management.base import BaseCommand, CommandError

from aristay_chat.engine import Engine, EngineUnavailable
from aristay_chat.sync import Busy, drift, synchronize


class Command(BaseCommand):
    help = (
        "Tells the chat engine of all users and of the titles and participants of all rooms. "
        "Needed once at the beginning, and after changes that Django sends no signals for."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--check", action="store_true", help="only print what is different, and end with 1 if anything is",
        )

    def handle(self, *, check, **_):
        try:
            with Engine() as engine:
                if check:
                    self._check(engine)
                else:
                    self._synchronize(engine)
        except (EngineUnavailable, Busy) as error:
            raise CommandError(str(error), returncode=2) from error

    def _check(self, engine):
        count = 0
        for sentence in drift(engine):
            count += 1
            self.stdout.write(sentence)
        if count:
            sys.exit(1)
        self.stdout.write("The chat engine has everything as Django has it.")

    def _synchronize(self, engine):
        report = synchronize(engine)
        self.stdout.write(
            f"{report.users} users, {report.subjects} tasks and properties; "
            f"{report.removed} participants removed, {report.closed} rooms closed.",
        )
        for sentence in report.refused:
            self.stderr.write(sentence)
        if report.refused:
            raise CommandError("some of it was refused")
