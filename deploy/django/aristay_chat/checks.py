"""Names each mistake of the set-up in `manage.py check`.

What only the engine can know (whether it is there, and takes the key) is a warning, so that a project starts
and migrates while its engine is down.
"""

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import checks
from django.db import models
from django.urls import NoReverseMatch, reverse

from . import paths, webhooks
from .conf import KEYS, SENDERS, SUBJECT_KEYS, USER_KEYS, chat_settings, given, is_origin, simple_jwt
from .engine import Engine, EngineError, EngineRefused, EngineUnavailable
from .subjects import SubjectKind
from .tokens import service_token

#: The shortest key of HMAC with SHA-256 (RFC 7518, 3.2); the engine takes none that is shorter.
KEY_BYTES_MIN = 32
#: How keys begin that frameworks mark as ones to replace; the engine takes none of them.
MARKED_KEYS = ("django-insecure", "insecure", "changeme", "change-me", "replaceme", "your-secret")
ALGORITHMS = (
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
)
#: What AriStay's tokens name in `iss`.
ARISTAY_ISSUER = "aristay-app"
#: Seconds to connect to the engine and to wait for its answer.
TIMEOUT = (2, 3)


def register():
    for check in (check_settings, check_key, check_user_model, check_subjects, check_urls, check_engine):
        checks.register(check, "aristay_chat")


def _error(number, message, hint=None):
    return checks.Error(message, hint=hint, id=f"aristay_chat.E{number:03}")


def _warning(number, message, hint=None):
    return checks.Warning(message, hint=hint, id=f"aristay_chat.W{number:03}")


def check_settings(**_):
    own = given()
    if not isinstance(own, dict):
        yield _error(1, "ARISTAY_CHAT is not set.", 'ARISTAY_CHAT = {"URL": "https://chat.example", "TASK": {...}}')
        return
    for name in sorted(set(own) - KEYS, key=str):
        yield _error(2, f"ARISTAY_CHAT has no setting {name!r}.", f"It has {', '.join(sorted(KEYS))}.")
    chat = chat_settings()
    for name, url in (("URL", chat.url), ("INTERNAL_URL", chat.internal_url)):
        if not is_origin(url):
            yield _error(3, f"{name} of ARISTAY_CHAT must be http(s)://host[:port], not {url!r}.")
    if not (isinstance(chat.token_seconds, int) and 60 <= chat.token_seconds <= 86_400):
        yield _error(4, "TOKEN_SECONDS of ARISTAY_CHAT must be 60 to 86400.")
    if chat.sender not in SENDERS:
        yield _error(5, f"SENDER of ARISTAY_CHAT must be one of {', '.join(SENDERS)}, not {chat.sender!r}.")
    for secret in chat.webhook_secrets:
        try:
            webhooks.key_of(secret)
        except ValueError as why:
            yield _error(6, f"WEBHOOK_SECRET of ARISTAY_CHAT {why}.")
    for name in sorted(set(chat.user) - USER_KEYS):
        yield _error(7, f"USER of ARISTAY_CHAT has no setting {name!r}.", f"It has {', '.join(sorted(USER_KEYS))}.")


def check_key(**_):
    chat, shared = chat_settings(), simple_jwt()
    if chat.algorithm not in ALGORITHMS:
        yield _error(10, f"ALGORITHM of ARISTAY_CHAT is {chat.algorithm!r}, which the engine doesn't know.")
    if str(chat.algorithm).startswith("HS"):
        key = chat.signing_key.encode() if isinstance(chat.signing_key, str) else bytes(chat.signing_key)
        if len(key) < KEY_BYTES_MIN:
            yield _error(
                11,
                f"The key that signs chat tokens has {len(key)} bytes; the engine takes {KEY_BYTES_MIN} or more.",
                "`openssl rand -hex 32` makes a good one. It must be the engine's JWT_SECRET too.",
            )
        if key.decode(errors="replace").lower().startswith(MARKED_KEYS):
            yield _error(
                12,
                "The key that signs chat tokens is marked as one to replace, and the engine refuses to start with it.",
                "Without SIGNING_KEY in SIMPLE_JWT it is SECRET_KEY. `openssl rand -hex 32` makes a good one.",
            )
    if chat.algorithm in ALGORITHMS:
        try:
            service_token()
        except Exception as error:
            yield _error(18, f"A token can't be signed with {chat.algorithm}: {error.__class__.__name__}.")
    if shared is None:
        return
    # The engine has one key, one issuer and one audience, and takes the tokens of both.
    if chat.signing_key != shared["SIGNING_KEY"]:
        yield _error(
            13, "SIGNING_KEY of ARISTAY_CHAT differs from that of SIMPLE_JWT.",
            "Leave it out of ARISTAY_CHAT; the one of SIMPLE_JWT is the default.",
        )
    named = {"ALGORITHM": chat.algorithm, "ISSUER": chat.issuer, "AUDIENCE": chat.audience}
    for number, (name, own) in enumerate(named.items(), 14):
        if own != shared[name]:
            yield _error(
                number, f"{name} of ARISTAY_CHAT is {own!r}, that of SIMPLE_JWT {shared[name]!r}.",
                f"Set the same in both, and as JWT_{name} of the engine.",
            )
    if shared["USER_ID_CLAIM"] != "user_id":
        yield _error(17, "USER_ID_CLAIM of SIMPLE_JWT must be 'user_id', which the engine reads.")


def check_user_model(**_):
    if not _has_integer_key(get_user_model()):
        yield _error(20, f"{get_user_model()._meta.label} has no integer key; the engine's users have integers.")
    for name, spec in chat_settings().user.items():
        yield from _check_spec(21, f"USER[{name!r}] of ARISTAY_CHAT", spec, get_user_model())


def check_subjects(**_):
    chat = chat_settings()
    for name, options in (("TASK", chat.task), ("PROPERTY", chat.property)):
        if options is None:
            continue
        where = f"{name} of ARISTAY_CHAT"
        if not isinstance(options, dict):
            yield _error(30, f"{where} must be a dict with 'model' and 'participants'.")
            continue
        for key in sorted(set(options) - SUBJECT_KEYS, key=str):
            yield _error(31, f"{where} has no setting {key!r}.", f"It has {', '.join(sorted(SUBJECT_KEYS))}.")
        try:
            model = SubjectKind("", "", options).model
        except (LookupError, ValueError):
            yield _error(32, f"{where}: there is no model {options.get('model')!r}.", 'Name it "app_label.Model".')
            continue
        if not _has_integer_key(model):
            yield _error(33, f"{where}: {model._meta.label} has no integer key; the engine's ids of them are integers.")
        if not options.get("participants"):
            yield _error(
                34, f"{where} doesn't say who the participants are.",
                'A path such as "assignees" or "property.managers", several in a list, or a function of the object.',
            )
        for key in ("title", "participants", "has_room", "depends_on"):
            for spec in _listed(options.get(key)):
                yield from _check_spec(35, f"{where}, {key!r}", spec, model)
        if "may_view" in options:
            yield from _check_function(36, f"{where}, 'may_view'", options["may_view"])
        by_function = any(not paths.is_path(spec, model) for spec in _listed(options.get("participants")))
        if by_function and not options.get("depends_on"):
            yield _warning(
                37,
                f"{where}: the participants are found by a function, and 'depends_on' doesn't say what changes them.",
                'Name the paths that it follows, such as ["assignees", "property.managers"].',
            )


def check_urls(**_):
    if not apps.is_installed("django.contrib.staticfiles"):
        yield _warning(40, "django.contrib.staticfiles is not installed; serve aristay_chat/chat.js yourself.")
    try:
        reverse("aristay_chat:token")
    except NoReverseMatch:
        yield _error(41, "The URLs of aristay_chat are not included.", 'path("", include("aristay_chat.urls"))')
    except Exception:
        # A URL configuration that can't be imported is named by Django's own check.
        return


def check_engine(**_):
    """Asks the engine, unless what it would be asked with is wrong already."""
    chat = chat_settings()
    if not chat.check_engine or not is_origin(chat.internal_url):
        return
    if any(fault.is_serious() for check in (check_settings, check_key) for fault in check()):
        return
    try:
        with Engine(TIMEOUT) as engine:
            yield from _ask(engine, chat)
    except EngineUnavailable as error:
        yield _warning(
            50, f"The chat engine: {error}.",
            "Start it, or correct INTERNAL_URL of ARISTAY_CHAT. Changes wait in the outbox meanwhile.",
        )
    except EngineError as error:
        yield _warning(51, f"The chat engine refuses the host application: {error}.")


def _ask(engine, chat):
    refusal = _refusal(engine, chat.issuer)
    if refusal is None:
        return
    if refusal.status != 401:
        raise refusal
    if chat.issuer != ARISTAY_ISSUER and _refusal(engine, ARISTAY_ISSUER) is None:
        yield _warning(
            52,
            f"The chat engine demands the issuer {ARISTAY_ISSUER!r} (its JWT_ISSUER), but ISSUER is {chat.issuer!r}.",
            "Set ISSUER of SIMPLE_JWT, which is the default of ARISTAY_CHAT's, to the engine's JWT_ISSUER.",
        )
        return
    yield _warning(
        53,
        "The chat engine refuses tokens of this key.",
        "SIGNING_KEY must be its JWT_SECRET, ALGORITHM its JWT_ALGORITHM, ISSUER its JWT_ISSUER and AUDIENCE its "
        "JWT_AUDIENCE; and the clocks of both must agree.",
    )


def _refusal(engine, issuer):
    """Returns why the engine doesn't take a token with `issuer`, or None if it does."""
    try:
        engine.call("GET", "users/?page_size=1", token=service_token(issuer))
    except (EngineUnavailable, EngineRefused) as error:
        return error
    return None


def _has_integer_key(model):
    # A key that is a relation, as of a model that extends another one, has the type of what it points to.
    field = model._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    return isinstance(field, models.IntegerField)


def _listed(spec):
    return spec if isinstance(spec, (list, tuple)) else [] if spec is None else [spec]


def _check_spec(number, where, spec, model):
    if not paths.is_path(spec, model):
        yield from _check_function(number, where, spec, f"{model._meta.label} has no such attribute, and ")
        return
    try:
        list(paths.steps(model, spec))
    except AttributeError as error:
        yield _error(number, f"{where}: {spec!r} leads nowhere: {error}.")


def _check_function(number, where, spec, otherwise=""):
    try:
        if callable(paths.function_of(spec)):
            return
        why = "it is no function"
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        why = str(error)
    yield _error(number, f"{where}: {spec!r} can't be used: {otherwise}{why}.")
