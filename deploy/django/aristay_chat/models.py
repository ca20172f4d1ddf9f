"""What is still to be told to the engine, what is known of its rooms, and which of its events have come."""

from django.db import models


class OutboxEntry(models.Model):
    """A user, task or property that has changed, and of which the engine is still to be told.

    It is written in the transaction of the change and says only what has changed; what it is now is read when
    it is sent. So entries may be sent twice, or several as one, without harm.
    """

    USER = "user"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10)
    object_id = models.BigIntegerField()
    #: Whether the change was a deletion, which alone lets a missing object count as deleted.
    deleted = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    #: When the engine refused it; then it waits for the next change, or for sync_chat.
    refused_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "outbox entries"
        indexes = [
            models.Index(fields=["kind", "object_id"], name="aristay_chat_outbox_object"),
            models.Index(fields=["refused_at", "id"], name="aristay_chat_outbox_order"),
        ]

    def __str__(self):
        return f"{self.kind} {self.object_id}"


class SenderLease(models.Model):
    """Which process may send now. There is one row, so that what is sent keeps its order."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    holder = models.CharField(max_length=64)
    until = models.DateTimeField()


class SubjectRoom(models.Model):
    """The engine's room of a task or property."""

    kind = models.CharField(max_length=10)
    object_id = models.BigIntegerField()
    room_id = models.UUIDField(unique=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_id"], name="aristay_chat_one_room")]

    def __str__(self):
        return f"room of {self.kind} {self.object_id}"


class ReceivedEvent(models.Model):
    """An event of the engine that was handed over, so that it isn't handed over again."""

    webhook_id = models.CharField(max_length=255, primary_key=True)
    received_at = models.DateTimeField(auto_now_add=True, db_index=True)
