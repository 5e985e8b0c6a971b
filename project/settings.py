"""Django's settings, made from the typed environment: what can differ is in `environment.py`."""

from pathlib import Path
from typing import Any

import django_stubs_ext
from redis.backoff import NoBackoff
from redis.retry import Retry

from project import environment, wiring
from project.sentry import report_errors

django_stubs_ext.monkeypatch()  # ModelAdmin[Order]

try:
    ENV = environment.load()
except environment.BadEnvironment as error:
    raise SystemExit(str(error)) from None

BASE_DIR = Path(__file__).resolve().parent.parent
PRODUCTION = ENV.environment == "production"

SECRET_KEY = ENV.secret_key.get_secret_value()
SECRET_KEY_FALLBACKS = [key.get_secret_value() for key in ENV.secret_key_fallbacks]
DEBUG = ENV.debug
ALLOWED_HOSTS = ENV.allowed_hosts
CSRF_TRUSTED_ORIGINS = ENV.csrf_trusted_origins
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_results",
    "csp",
    "ninja",  # its API pages then come from our own static files, as the CSP demands
    "project",
    "sagas",
    "integrations",
    "integrations.oauth",
    "integrations.leads",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sagas.operate.people.KnowsRequest",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Data
POOLED = ENV.sagas.get("PREPARED_STATEMENTS") is False  # by a pooler in transaction mode
DATABASES = {"default": wiring.database(ENV.database_url, pooled=POOLED)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = wiring.address(ENV.redis_url, f"unix://{environment.VAR}/redis/not-running.socket")
REDIS_PREFIX = ENV.redis_prefix
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": REDIS_PREFIX,
        # Requests wait for it: one that is silent is done without.
        "OPTIONS": {
            "serializer": "sagas.cache.JSONSerializer",  # a pickle would run what Redis says
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
            "retry": Retry(NoBackoff(), 0),
        },
    },
}

# Language and time
LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Static files
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None  # else straight from the apps
WHITENOISE_USE_FINDERS = not PRODUCTION
_HASHED = "whitenoise.storage.CompressedManifestStaticFilesStorage"
_PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _HASHED if PRODUCTION else _PLAIN},
}

# Security
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
# Behind a proxy that sets this header itself; docs and docker-compose.yml say so.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PRODUCTION else None

# Sagas
SAGAS = {"TRUSTED_PROXIES": ENV.trusted_proxies, **ENV.sagas}
if ENV.audit_anchor:
    SAGAS |= {"AUDIT_ANCHOR": ENV.audit_anchor}
if ENV.audit_key:
    SAGAS |= {"AUDIT_KEY": ENV.audit_key, "AUDIT_KEY_FALLBACKS": tuple(ENV.audit_key_fallbacks)}

DEFAULT_FROM_EMAIL = ENV.default_from_email

BROKER_URL = wiring.address(
    ENV.broker_url, f"redis+socket://{environment.VAR}/redis/not-running.socket"
)
BROKER_MASTER_NAME = ENV.broker_master_name

# Logs: plain lines; what tasks return or carry is not among them.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "celery.app.trace": {"level": "WARNING"},  # below it are the values tasks return
        "celery.worker.strategy": {"level": "WARNING"},
        # Below it are addresses, with what was asked for, and what partners said.
        "httpx2": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
    },
}

if ENV.sentry_dsn:
    report_errors(ENV.sentry_dsn.get_secret_value(), ENV.environment)
