"""Tells the engine of what has changed."""

import signal
import threading

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections

from aristay_chat.sender import RETRY_SECONDS_MAX, Sender

#: Turns of one run without --loop: more than any outbox of changes of a day.
TURNS_MAX = 100_000


class Command(BaseCommand):
    help = "Tells the chat engine of users, tasks and properties that have changed."

    def add_arguments(self, parser):
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM")
        parser.add_argument(
            "--interval", type=float, default=2.0, help="seconds between two looks at an empty outbox (2)",
        )

    def handle(self, *, loop, interval, **_):
        sender = Sender()
        try:
            if loop:
                self._loop(sender, max(interval, 0.1))
            else:
                self._once(sender)
        finally:
            sender.close()

    def _once(self, sender):
        for _ in range(TURNS_MAX):
            pause = sender.turn()
            if pause is None:
                return
            if pause:
                raise CommandError("not everything could be sent; the log says why. It stays in the outbox")

    def _loop(self, sender, interval):
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            try:
                pause = sender.turn()
            except DatabaseError as error:
                self.stderr.write(f"the database can't be read now: {error}")
                pause = RETRY_SECONDS_MAX
            close_old_connections()
            if pause != 0:
                stop.wait(interval if pause is None else pause)
