"""Signs tokens with the key that Django and the engine share."""

import time
import uuid

import jwt

from .conf import chat_settings
from .users import describe

#: Lifetime of a token of the host application itself, in seconds; each call signs its own.
SERVICE_TOKEN_SECONDS = 60


def user_token(user, grant=None, seconds=None):
    """Signs an access token for `user`, with a grant such as "task:42" that lets them into that room."""
    told = describe(user)
    claims = {name: told[name] for name in ("username", "full_name", "email") if told[name]}
    claims["user_id"] = user.pk
    # The engine refuses a grant that is empty, so that a mistake of the host is noticed.
    if grant is not None:
        claims["grant"] = grant
    return _sign(claims, chat_settings().token_seconds if seconds is None else seconds)


def service_token(issuer=...):
    """Signs a token of the host application itself. `issuer` is for checks; by default that of the settings."""
    return _sign({"scope": "service"}, SERVICE_TOKEN_SECONDS, issuer)


def _sign(claims, seconds, issuer=...):
    chat = chat_settings()
    now = int(time.time())
    claims = {**claims, "token_type": "access", "iat": now, "exp": now + seconds, "jti": uuid.uuid4().hex}
    issuer = chat.issuer if issuer is ... else issuer
    if issuer:
        claims["iss"] = issuer
    if chat.audience:
        claims["aud"] = chat.audience
    return jwt.encode(claims, chat.signing_key, algorithm=chat.algorithm)
