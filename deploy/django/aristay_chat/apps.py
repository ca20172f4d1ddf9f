"""Connects the package to the project when Django has loaded its models."""

from django.apps import AppConfig
from django.core.signals import request_started


class AristayChatConfig(AppConfig):
    name = "aristay_chat"
    verbose_name = "AriStay chat"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import checks, tracking, worker
        from .conf import chat_settings

        checks.register()
        tracking.connect()
        if chat_settings().sender == "thread":
            request_started.connect(worker.wake_at_first_request, dispatch_uid=worker.FIRST_REQUEST)
