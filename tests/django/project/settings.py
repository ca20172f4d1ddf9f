import os
import tempfile

from .samples import samples, templates

os.environ.setdefault("JWT_SECRET", "6b1f0c2e9d8a7b5c4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b")
# The tests choose the engine's address at each start.
ENGINE_URL = os.environ.get("CHAT_URL", "http://127.0.0.1:9")

SECRET_KEY = "a-key-of-the-sessions-of-this-project"
DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework_simplejwt",
    "properties",
    "tasks",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [("django.template.loaders.locmem.Loader", templates())],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ],
        },
    },
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("CHAT_TEST_DATABASE", ":memory:"),
        "OPTIONS": {"timeout": 20},
        # A file, because threads can't wait for each other in a database in memory.
        "TEST": {"NAME": os.path.join(tempfile.gettempdir(), f"chat-django-{os.getpid()}.sqlite3")},
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"
USE_TZ = True

_sample = samples("python")[0]
for _address in ("https://chat.example", "http://127.0.0.1:8001"):
    assert _address in _sample
    _sample = _sample.replace(_address, ENGINE_URL)
exec(_sample)
