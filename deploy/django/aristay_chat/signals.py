"""What the engine's webhooks bring, as Django signals.

Each receiver gets `event`, a webhooks.Event. All receivers of an event run in one transaction; if one of them
fails, it is undone and the engine sends the event again.
"""

from django.dispatch import Signal

#: Any event of a room, whatever its type.
event_received = Signal()
#: Someone has sent a message.
message_posted = Signal()
message_updated = Signal()
message_deleted = Signal()
participant_joined = Signal()
participant_left = Signal()

#: The signal of each type that has one, besides event_received.
BY_TYPE = {
    "chat_message": message_posted,
    "message_updated": message_updated,
    "message_deleted": message_deleted,
    "participant_joined": participant_joined,
    "participant_left": participant_left,
}
