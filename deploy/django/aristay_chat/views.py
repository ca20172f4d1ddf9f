"""Tokens for the pages of the project, and the receiver of the engine's webhooks."""

import logging

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from . import webhooks
from .conf import chat_settings
from .subjects import kinds
from .tokens import user_token

logger = logging.getLogger("aristay_chat")

#: Digits of the largest id that every database takes (64 bits with a sign).
ID_DIGITS_MAX = 18


@never_cache
@require_safe
def chat_token(request):
    """Gives the signed-in user a token; with ?task= or ?property= one that lets them into that room.

    nginx takes the token from the header X-Chat-Token (auth_request), pages take it from the body.
    """
    user = _user_of(request)
    if user is None:
        return JsonResponse({"detail": "Not signed in."}, status=401)
    asked = [(kind, request.GET[kind.name]) for kind in kinds() if kind.name in request.GET]
    if len(asked) > 1:
        return JsonResponse({"detail": "A token is for one task or one property."}, status=400)
    grant = None
    for kind, text in asked:
        if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX):
            raise Http404
        obj = get_object_or_404(kind.model._default_manager, pk=int(text))
        if not kind.may_view(user, obj):
            return JsonResponse({"detail": f"This {kind.name} is not for you."}, status=403)
        grant = f"{kind.name}:{obj.pk}"
    token = user_token(user, grant)
    answer = JsonResponse({"token": token, "expires_in": chat_settings().token_seconds})
    answer["X-Chat-Token"] = token
    return answer


@csrf_exempt
@require_POST
def chat_webhook(request):
    """Takes an event of the engine, and hands it over as Django signals."""
    secrets = chat_settings().webhook_secrets
    if not secrets:
        raise Http404("WEBHOOK_SECRET is not set")
    try:
        event = webhooks.parse(webhooks.verify(request.headers, request.body, secrets), request.body)
    except webhooks.Rejected as why:
        logger.warning("a webhook was rejected: %s", why)
        return JsonResponse({"detail": str(why)}, status=400)
    webhooks.hand_over(event)
    return HttpResponse(status=204)


def _user_of(request):
    """Returns the user of the session or, for apps, of a SimpleJWT token; None if nobody is signed in."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return user
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        return None
    try:
        from rest_framework.exceptions import APIException
        from rest_framework_simplejwt.authentication import JWTAuthentication
    except ImportError:
        return None
    try:
        found = JWTAuthentication().authenticate(request)
    except APIException:
        return None
    return found and found[0]
