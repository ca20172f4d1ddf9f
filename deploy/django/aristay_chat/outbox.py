"""Writes down what the engine is to be told, and whose turn it is to tell it."""

import uuid
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from .conf import chat_settings
from .models import OutboxEntry, SenderLease

#: Longer than the longest call to the engine, of which each renews it.
LEASE_SECONDS = 60
#: Rows of one statement.
CHUNK = 1_000


def record(kind, object_ids, deleted=False):
    """Writes down that these objects have changed, in the transaction under way."""
    entries = [OutboxEntry(kind=kind, object_id=pk, deleted=deleted) for pk in object_ids]
    if not entries:
        return
    OutboxEntry.objects.bulk_create(entries, batch_size=CHUNK)
    if chat_settings().sender == "thread":
        from .worker import wake

        transaction.on_commit(wake)


def waiting():
    """Returns the entries that are to be sent, in order."""
    return OutboxEntry.objects.filter(refused_at=None).order_by("pk")


def compact():
    """Deletes entries that a later one of the same object covers.

    So an outbox that can't be sent holds no more entries than there are objects.
    """
    later = OutboxEntry.objects.filter(
        kind=OuterRef("kind"), object_id=OuterRef("object_id"), pk__gt=OuterRef("pk"), refused_at=None,
    )
    # A deletion is what a later entry of the same id doesn't say.
    covered = OutboxEntry.objects.filter(Exists(later), deleted=False).order_by("pk")
    # Each turn deletes what it has read; other processes add more slowly than that.
    while pks := list(covered.values_list("pk", flat=True)[:CHUNK]):
        OutboxEntry.objects.filter(pk__in=pks).delete()


class Lease:
    """The right to send, which one process has at a time."""

    def __init__(self):
        self._holder = uuid.uuid4().hex

    def acquire(self):
        """Takes the right, or renews it. Returns whether this process has it now."""
        now = timezone.now()
        until = now + timedelta(seconds=LEASE_SECONDS)
        free = Q(until__lt=now) | Q(holder=self._holder)
        if SenderLease.objects.filter(free, pk=1).update(holder=self._holder, until=until):
            return True
        if SenderLease.objects.filter(pk=1).exists():
            return False
        try:
            with transaction.atomic():
                SenderLease.objects.create(pk=1, holder=self._holder, until=until)
        except IntegrityError:
            return False
        return True

    def release(self):
        """Gives the right back, if this process still has it."""
        SenderLease.objects.filter(pk=1, holder=self._holder).update(until=timezone.now())
