"""For templates that write the tags themselves."""

from django.urls import reverse_lazy

from .conf import chat_settings


def chat(request):
    """Gives templates CHAT_URL, where the engine is, and CHAT_TOKEN_URL, where pages get their tokens."""
    return {"CHAT_URL": chat_settings().url, "CHAT_TOKEN_URL": reverse_lazy("aristay_chat:token")}
