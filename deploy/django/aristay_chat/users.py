"""What the engine is told of a user."""

from datetime import timezone

from django.contrib.auth import get_user_model
from django.db import router

from .conf import chat_settings
from .paths import value_of

USERNAME_CHARS_MAX = 150
NAME_CHARS_MAX = 255


def describe(user):
    """Returns what the engine's directory holds of `user`, cut to its lengths."""
    own = chat_settings().user
    since = value_of(own["tokens_valid_from"], user) if own.get("tokens_valid_from") else None
    return {
        "id": user.pk,
        "username": _text(user.get_username(), USERNAME_CHARS_MAX) or f"user{user.pk}",
        "full_name": _text(value_of(own.get("full_name") or _full_name, user), NAME_CHARS_MAX),
        "email": _text(value_of(own.get("email") or _email, user), NAME_CHARS_MAX),
        "is_active": bool(user.is_active),
        "is_staff": bool(value_of(own.get("is_staff") or _is_staff, user)),
        "tokens_valid_from": since and since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def all_users():
    """Returns every user, those that a manager hides too, from the database that is written to."""
    model = get_user_model()
    return model._base_manager.using(router.db_for_write(model))


def _full_name(user):
    return user.get_full_name() if hasattr(user, "get_full_name") else ""


def _email(user):
    return getattr(user, user.get_email_field_name(), "") if hasattr(user, "get_email_field_name") else ""


def _is_staff(user):
    return getattr(user, "is_staff", False)


def _text(value, chars_max):
    # The engine trims what it stores, and takes no NUL.
    return str(value or "").replace("\0", "").strip()[:chars_max].strip()
