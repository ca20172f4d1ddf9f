"""Sends what the outbox holds, in order and at least once."""

import logging

from django.db import DatabaseError
from django.utils import timezone

from . import rooms
from .engine import Engine, EngineRefused, EngineUnavailable
from .models import OutboxEntry
from .outbox import Lease, compact, record, waiting
from .subjects import kind_named
from .users import all_users, describe

logger = logging.getLogger("aristay_chat")

#: Entries of one turn.
BATCH = 200
#: Seconds to wait after the first failure, and at most.
RETRY_SECONDS, RETRY_SECONDS_MAX = 1, 60
#: Seconds until another process may have ended or given up its turn.
BUSY_SECONDS = 5


class LeaseLost(Exception):
    """Another process may have sent meanwhile."""


#: Errors that say nothing about the entry that is being sent: it waits.
PASSING = (EngineUnavailable, LeaseLost, DatabaseError)


def tell(engine, users, renew):
    """Tells the engine of `users`, and returns why some can't be told, by id. Calls `renew` before each call."""
    try:
        renew()
        engine.sync_users([describe(user) for user in users])
        return {}
    except PASSING:
        raise
    except Exception:
        # One of them is at fault; the others are told of one by one.
        return {user.pk: error for user in users if (error := _fault_of(engine, user, renew))}


def _fault_of(engine, user, renew):
    try:
        renew()
        engine.put_user(user.pk, describe(user))
        return None
    except PASSING:
        raise
    except Exception as error:
        return error


class Sender:
    """Sends from one process. Several may exist; one at a time has the right to send."""

    def __init__(self):
        self._lease = Lease()
        self._failures = 0

    def turn(self):
        """Sends some entries. Returns 0 if more are waiting, the seconds to wait after a failure, or None.

        None says that the outbox is empty.
        """
        if not waiting().exists():
            return None
        if not self._lease.acquire():
            return BUSY_SECONDS
        entries = list(waiting()[:BATCH])
        try:
            with Engine() as engine:
                _Batch(engine, self._lease, entries).send()
        except LeaseLost:
            logger.warning("another process has taken over the outbox")
            return BUSY_SECONDS
        except EngineUnavailable as error:
            compact()
            pause = min(RETRY_SECONDS * 2**self._failures, RETRY_SECONDS_MAX)
            self._failures = min(self._failures + 1, 10)
            level = logging.ERROR if error.status == 401 else logging.WARNING
            logger.log(level, "the chat engine can't be told of changes now: %s", error)
            return max(pause, error.retry_after or 0)
        self._failures = 0
        return 0

    def close(self):
        """Lets another process send."""
        self._lease.release()


class _Batch:
    """Some entries on their way."""

    def __init__(self, engine, lease, entries):
        self._engine = engine
        self._lease = lease
        self._pks = {}
        self._deleted = set()
        # What changed several times is told once, as it is now. A dict keeps the order.
        for entry in entries:
            key = (entry.kind, entry.object_id)
            self._pks.setdefault(key, []).append(entry.pk)
            if entry.deleted:
                self._deleted.add(key)

    def send(self):
        subjects = self._load()
        self._send_people(subjects)
        for key in list(self._pks):
            kind_name, pk = key
            if kind_name == OutboxEntry.USER:
                # Told with the others, or deleted.
                self._send(key, lambda pk=pk: self._engine.erase_user(pk))
            elif key in subjects:
                self._send(key, lambda key=key: rooms.push(self._engine, *subjects[key]))
            elif key in self._deleted:
                self._send(key, lambda key=key: rooms.close(self._engine, *key))
            else:
                self._done(key)

    def _load(self):
        """Returns the kind and the object of each task and property that is there."""
        found = {}
        for name in {kind for kind, _ in self._pks if kind != OutboxEntry.USER}:
            kind = kind_named(name)
            if kind is not None:
                pks = [pk for kind_name, pk in self._pks if kind_name == name]
                found.update({(name, obj.pk): (kind, obj) for obj in kind.objects().filter(pk__in=pks)})
        return found

    def _send_people(self, subjects):
        """Tells of users before the rooms that they are in."""
        changed = [pk for kind, pk in self._pks if kind == OutboxEntry.USER]
        users = {user.pk: user for user in all_users().filter(pk__in=changed)}
        told = dict(users)
        for key, (kind, obj) in list(subjects.items()):
            participants = self._attempt(key, lambda kind=kind, obj=obj: kind.participants(obj))
            told.update({user.pk: user for user in participants or ()})
        refused = tell(self._engine, told.values(), self._renew)
        for pk in changed:
            key = (OutboxEntry.USER, pk)
            if pk in refused:
                self._refuse(key, refused[pk])
            elif pk in users or key not in self._deleted:
                self._done(key)

    def _send(self, key, call):
        self._renew()
        self._attempt(key, call)
        if key in self._pks:
            self._done(key)

    def _attempt(self, key, call):
        """Makes a call for an entry. What the engine refuses, or a function of the project fails at, is set aside."""
        try:
            return call()
        except PASSING:
            raise
        except Exception as error:
            self._refuse(key, error)
            return None

    def _renew(self):
        """Makes sure that nobody else sends during the next call."""
        if not self._lease.acquire():
            raise LeaseLost

    def _done(self, key):
        pks = self._pks.pop(key)
        if not self._lease.acquire():
            # Another process may have told something newer before this one was done: it is told again.
            record(key[0], [key[1]], deleted=key in self._deleted)
            raise LeaseLost
        OutboxEntry.objects.filter(pk__in=pks).delete()
        # What was refused before is settled by this.
        OutboxEntry.objects.filter(kind=key[0], object_id=key[1]).exclude(refused_at=None).delete()

    def _refuse(self, key, error):
        pks = self._pks.pop(key)
        # A traceback helps only with functions of the project.
        shown = None if isinstance(error, EngineRefused) else error
        logger.error("the chat engine can't be told of %s %s: %s", *key, error, exc_info=shown)
        text = f"{error.__class__.__name__}: {error}"[:500]
        OutboxEntry.objects.filter(pk__in=pks).update(refused_at=timezone.now(), error=text)
