"""The settings, read from ARISTAY_CHAT, with SimpleJWT's as defaults for the key.

Reading never fails: a project with mistakes must still run `manage.py check`, which names them.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed

#: What ARISTAY_CHAT may hold.
KEYS = {
    "URL", "INTERNAL_URL", "SIGNING_KEY", "ALGORITHM", "ISSUER", "AUDIENCE", "TOKEN_SECONDS", "USER", "TASK",
    "PROPERTY", "SENDER", "WEBHOOK_SECRET", "CHECK_ENGINE",
}
#: What TASK and PROPERTY may hold.
SUBJECT_KEYS = {"model", "title", "participants", "may_view", "has_room", "depends_on"}
#: What USER may hold.
USER_KEYS = {"full_name", "email", "is_staff", "tokens_valid_from"}
SENDERS = ("command", "thread")


@dataclass(frozen=True)
class ChatSettings:
    """ARISTAY_CHAT with its defaults."""

    url: str = ""
    internal_url: str = ""
    signing_key: str = ""
    algorithm: str = "HS256"
    issuer: object = None
    audience: object = None
    token_seconds: int = 900
    user: dict = field(default_factory=dict)
    task: object = None
    property: object = None
    sender: str = "command"
    webhook_secrets: tuple = ()
    check_engine: bool = True


def given():
    """Returns ARISTAY_CHAT as the project wrote it."""
    return getattr(settings, "ARISTAY_CHAT", None)


def simple_jwt():
    """Returns what SimpleJWT signs with, or None if the project doesn't use it."""
    own = getattr(settings, "SIMPLE_JWT", None)
    if own is None and not any(app.startswith("rest_framework_simplejwt") for app in settings.INSTALLED_APPS):
        return None
    own = own or {}
    return {
        "SIGNING_KEY": own.get("SIGNING_KEY", settings.SECRET_KEY),
        "ALGORITHM": own.get("ALGORITHM", "HS256"),
        "ISSUER": own.get("ISSUER"),
        "AUDIENCE": own.get("AUDIENCE"),
        "USER_ID_CLAIM": own.get("USER_ID_CLAIM", "user_id"),
    }


@lru_cache(maxsize=1)
def chat_settings():
    """Returns the settings in use."""
    own = given() if isinstance(given(), dict) else {}
    shared = simple_jwt() or {}
    secrets = own.get("WEBHOOK_SECRET") or ()
    url = str(own.get("URL") or "").rstrip("/")
    return ChatSettings(
        url=url,
        internal_url=str(own.get("INTERNAL_URL") or url).rstrip("/"),
        signing_key=own.get("SIGNING_KEY", shared.get("SIGNING_KEY", settings.SECRET_KEY)) or "",
        algorithm=own.get("ALGORITHM", shared.get("ALGORITHM", "HS256")),
        issuer=own.get("ISSUER", shared.get("ISSUER")),
        audience=own.get("AUDIENCE", shared.get("AUDIENCE")),
        token_seconds=own.get("TOKEN_SECONDS", 900),
        user=own.get("USER") or {},
        task=own.get("TASK"),
        property=own.get("PROPERTY"),
        sender=own.get("SENDER", "command"),
        webhook_secrets=(secrets,) if isinstance(secrets, str) else tuple(secrets),
        check_engine=own.get("CHECK_ENGINE", True),
    )


def is_origin(url):
    """Whether `url` is a scheme and a host, without a path."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
    except ValueError:
        return False


def _forget(*, setting, **_):
    if setting in ("ARISTAY_CHAT", "SIMPLE_JWT", "SECRET_KEY", "INSTALLED_APPS"):
        chat_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="aristay_chat.conf")
