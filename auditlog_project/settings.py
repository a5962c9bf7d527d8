"""Settings, all from the environment. The embedded default is the production path with other addresses.

`docs/settings.md` is made from the declarations below.
"""

from __future__ import annotations

import datetime
import os
import warnings
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict
from redis.backoff import NoBackoff
from redis.retry import Retry

from auditlog_project import mail
from auditlog_project.env import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(os.environ)

AUDITLOG_STATE_DIR = Path(
    env.text(
        "AUDITLOG_STATE_DIR",
        str(BASE_DIR / "var"),
        "Folder for the embedded servers' data and for files that have to outlive a restart.",
        shown_default="var/ in the checkout",
    )
)
# Whole or not at all: migrations must never go to the embedded database because only DATABASE_URL named another one.
if not env.is_set("DATABASE_URL"):
    env.use_file_for_absent(AUDITLOG_STATE_DIR / "embedded.env")

# -- addresses and secrets -----------------------------------------------------------------------------------------
DATABASE_URL = env.text("DATABASE_URL", None, "PostgreSQL of the application's role, as postgresql://user:password@host:port/name.")
MAINTENANCE_DATABASE_URL = env.text(
    "MAINTENANCE_DATABASE_URL",
    DATABASE_URL,
    "The same database under the role that owns the tables (`migrate`).",
    shown_default="DATABASE_URL",
)
SEQUENCER_DATABASE_URL = env.text(
    "SEQUENCER_DATABASE_URL",
    MAINTENANCE_DATABASE_URL,
    "The same database under the role that writes positions and trees (`run_sequencer`). Not through a pooler: it holds a session lock.",
    shown_default="MAINTENANCE_DATABASE_URL",
)
REDIS_URL = env.text("REDIS_URL", None, "Redis or Valkey, as redis://host:port/0 or unix:///path/to.sock?db=0.")
SECRET_KEY = env.text("AUDITLOG_SECRET_KEY", None, "At least 32 random characters; signs sessions and page cursors, seals second factors.")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("AUDITLOG_SECRET_KEY is shorter than 32 characters.")
AUDITLOG_MASTER_KEY = env.text(
    "AUDITLOG_MASTER_KEY",
    "",
    "Base64 of the 32 bytes that wrap the keys by which fields of entries are encrypted. Several, separated by commas or lines: the first wraps, all "
    "unwrap. Web processes and workers need it. What was encrypted under one that is lost is lost.",
)
SECRET_KEY_FALLBACKS = env.items("AUDITLOG_OLD_SECRET_KEYS", "", "Earlier values of AUDITLOG_SECRET_KEY: what they signed or sealed stays good.")
AUDITLOG_TOKEN_KEY = env.text(
    "AUDITLOG_TOKEN_KEY",
    "",
    "Ed25519 private key that signs access and refresh tokens, as PEM (PKCS #8). The web processes alone need it, and do not start without. "
    "Several in one text: the first signs, all verify.",
)
DEBUG = env.boolean("AUDITLOG_DEBUG", False, "Django's debug pages. Never in production.")
ALLOWED_HOSTS = env.items("AUDITLOG_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "Host names that the server answers to.")
CSRF_TRUSTED_ORIGINS = env.items("AUDITLOG_TRUSTED_ORIGINS", "", "Origins (https://...) that may post forms, for a proxy with another name.")
AUDITLOG_TRUSTED_PROXIES = env.networks(
    "AUDITLOG_TRUSTED_PROXIES",
    "",
    "Networks or addresses of the proxies in front. What they say of the client's address and of HTTPS is believed; anybody else's headers are dropped.",
)
AUDITLOG_FORWARDED_HEADER = env.choice(
    "AUDITLOG_FORWARDED_HEADER",
    ("x-forwarded-for", "forwarded"),
    "x-forwarded-for",
    "Which header the proxies write: `X-Forwarded-For` (with `X-Forwarded-Proto`) or `Forwarded` (RFC 7239). The other is dropped.",
)
USE_TLS = env.boolean("AUDITLOG_USE_TLS", False, "The service is reached over HTTPS: secure cookies, HSTS, redirect.")

# -- serving -------------------------------------------------------------------------------------------------------
AUDITLOG_BIND = env.text("AUDITLOG_BIND", "127.0.0.1", "Address that `make run` listens on.")
AUDITLOG_PORT = env.integer("AUDITLOG_PORT", 8000, "Port that `make run` listens on.", least=1, most=65535)
AUDITLOG_WEB_WORKERS = env.integer(
    "AUDITLOG_WEB_WORKERS", min(os.cpu_count() or 1, 4), "Web processes of `make run`.", least=1, shown_default="one per core, at most 4"
)
AUDITLOG_HTTP_THREADS = env.integer("AUDITLOG_HTTP_THREADS", 4, "Threads that run requests, in each web process.", least=1)
AUDITLOG_DATABASE_POOL_SIZE = env.integer("AUDITLOG_DATABASE_POOL_SIZE", 10, "Most pooled database connections of one process.", least=2)
AUDITLOG_DATABASE_TIMEOUT_SECONDS = env.seconds("AUDITLOG_DATABASE_TIMEOUT_SECONDS", 10, "Longest that one statement may run.")
AUDITLOG_SEARCH_TIMEOUT_SECONDS = env.seconds(
    "AUDITLOG_SEARCH_TIMEOUT_SECONDS", 5, "Longest that a search may look; a question that takes longer is refused, with advice (422)."
)
AUDITLOG_STATS_TIMEOUT_SECONDS = env.seconds("AUDITLOG_STATS_TIMEOUT_SECONDS", 3, "Longest that one statement of statistics may run; beyond it 422.")
AUDITLOG_STATS_CACHE_SECONDS = env.integer(
    "AUDITLOG_STATS_CACHE_SECONDS", 60, "Longest that an answer of statistics is kept in Redis. A new entry makes a new answer at once.", least=1, most=3600
)

# -- entries -------------------------------------------------------------------------------------------------------
AUDITLOG_ENGINE = env.choice("AUDITLOG_ENGINE", ("native",), "native", "How partitions are made and dropped.")
AUDITLOG_MAX_ENTRY_BYTES = env.integer("AUDITLOG_MAX_ENTRY_BYTES", 256 * 1024, "Largest entry, as JSON text.", least=1024, most=2**20)
AUDITLOG_MAX_BODY_BYTES = env.integer(
    "AUDITLOG_MAX_BODY_BYTES", 16 * 2**20, "Largest request body, and largest body after decompression.", least=2**20, most=256 * 2**20
)
AUDITLOG_MAX_BULK_ENTRIES = env.integer("AUDITLOG_MAX_BULK_ENTRIES", 10_000, "Most entries of one bulk request.", least=1, most=30_000)
AUDITLOG_MAX_FUTURE_SECONDS = env.seconds("AUDITLOG_MAX_FUTURE_SECONDS", 300, "How far ahead of the server's clock a timestamp may be.")
AUDITLOG_HOT_DAYS = env.integer("AUDITLOG_HOT_DAYS", 90, "Days with a partition of their own; older entries share one a month.", least=1)
AUDITLOG_DAYS_AHEAD = env.integer("AUDITLOG_DAYS_AHEAD", 3, "Partitions made ahead of time, in days.", least=1, most=60)
_oldest = env.text("AUDITLOG_OLDEST_DATE", "2000-01-01", "Entries before this date (UTC) are refused.")
try:
    AUDITLOG_OLDEST_DATE = datetime.date.fromisoformat(_oldest)
except ValueError as _error:
    raise ImproperlyConfigured(f"AUDITLOG_OLDEST_DATE={_oldest!r} is no date (YYYY-MM-DD).") from _error
if AUDITLOG_OLDEST_DATE < datetime.date(1970, 1, 1):
    raise ImproperlyConfigured("AUDITLOG_OLDEST_DATE is before 1970-01-01, where UUIDv7 begins.")

# -- group commit --------------------------------------------------------------------------------------------------
AUDITLOG_WRITER_QUEUE_ENTRIES = env.integer(
    "AUDITLOG_WRITER_QUEUE_ENTRIES", 50_000, "Entries that may wait for their commit in one process; beyond it callers get 503.", least=1
)
AUDITLOG_WRITER_QUEUE_BYTES = env.integer("AUDITLOG_WRITER_QUEUE_BYTES", 64 * 2**20, "Bytes that may wait likewise.", least=2**20)
AUDITLOG_WRITER_BATCH_ENTRIES = env.integer("AUDITLOG_WRITER_BATCH_ENTRIES", 10_000, "Most entries of one commit.", least=1, most=30_000)
AUDITLOG_WRITER_BATCH_BYTES = env.integer("AUDITLOG_WRITER_BATCH_BYTES", 16 * 2**20, "Most bytes of one commit.", least=2**16)
AUDITLOG_COMMIT_TIMEOUT_SECONDS = env.seconds("AUDITLOG_COMMIT_TIMEOUT_SECONDS", 15, "Longest that a request waits for its commit.")

# -- the verifiable log --------------------------------------------------------------------------------------------
AUDITLOG_SIGNING_KEY = env.text(
    "AUDITLOG_SIGNING_KEY",
    "",
    "Ed25519 private key that signs checkpoints, as PEM (PKCS #8). `run_sequencer` alone needs it. Several in one text: each signs.",
)
AUDITLOG_VERIFIER_KEYS = env.items(
    "AUDITLOG_VERIFIER_KEYS",
    "",
    "Ed25519 public keys (base64, 32 bytes) by which checkpoints are trusted besides that of the signing key: those that signed before.",
)
AUDITLOG_ORIGIN = env.text(
    "AUDITLOG_ORIGIN",
    "auditlog.localhost",
    "Beginning of the logs' names in their checkpoints; the tenant's id follows. A log keeps the name that it began with.",
)
AUDITLOG_SEQUENCER_PAUSE_MS = env.integer(
    "AUDITLOG_SEQUENCER_PAUSE_MS", 100, "Pause of the sequencer between two rounds; what is committed meanwhile shares one.", least=0, most=10_000
)
AUDITLOG_SEQUENCER_GROUPS = env.integer(
    "AUDITLOG_SEQUENCER_GROUPS", 1, "Into how many groups tenants are divided; each group has one leading sequencer.", least=1, most=256
)
AUDITLOG_CHECKPOINT_SECONDS = env.seconds(
    "AUDITLOG_CHECKPOINT_SECONDS", 60, "At most so often a tenant's checkpoint is kept and copied to AUDITLOG_ANCHOR_URL while entries come."
)
AUDITLOG_HEARTBEAT_SECONDS = env.seconds("AUDITLOG_HEARTBEAT_SECONDS", 3600, "At least so often a checkpoint is signed anew, entries or none.")
AUDITLOG_ANCHOR_URL = env.text(
    "AUDITLOG_ANCHOR_URL",
    (AUDITLOG_STATE_DIR / "anchor").absolute().as_uri(),
    "Object storage (file:// or s3://bucket/prefix) that gets a copy of every kept checkpoint, out of the database's reach.",
    shown_default="file://.../anchor in AUDITLOG_STATE_DIR",
)
AUDITLOG_ERASURES_URL = env.text(
    "AUDITLOG_ERASURES_URL",
    (AUDITLOG_STATE_DIR / "erasures").absolute().as_uri(),
    "Object storage (file:// or s3://bucket/prefix) of the ledger of erasures. Web processes and workers write to it; it is never restored with the database.",
    shown_default="file://.../erasures in AUDITLOG_STATE_DIR",
)
AUDITLOG_CHECKPOINT_WEBHOOK = env.text("AUDITLOG_CHECKPOINT_WEBHOOK", "", "URL that every kept checkpoint is posted to, as text/plain.")
AUDITLOG_WITNESSES = env.items("AUDITLOG_WITNESSES", "", "Witnesses (C2SP tlog-witness) that are asked to cosign, each as `verifier key=submission URL`.")

AUDITLOG_OUTBOUND_ALLOW = env.networks(
    "AUDITLOG_OUTBOUND_ALLOW",
    "",
    "Networks (10.1.2.0/24) that may be called though they are not public: where receivers of webhooks run inside. "
    "The addresses in this environment (AUDITLOG_CHECKPOINT_WEBHOOK, AUDITLOG_WITNESSES) need no such leave.",
)

AUDITLOG_FORWARD_URLS = env.items(
    "AUDITLOG_FORWARD_URLS",
    "",
    "Object storages (`s3://bucket/prefix`) below which tenants may have their entries forwarded, with this installation's credentials. Empty: none.",
)

# -- mail ----------------------------------------------------------------------------------------------------------
AUDITLOG_EMAIL_URL = env.text(
    "AUDITLOG_EMAIL_URL",
    "",
    "The server that takes mail: `smtp://user:password@host:587` (STARTTLS where there is a password), `smtps://` for TLS from the start. "
    "Empty: no mail is sent.",
)
AUDITLOG_EMAIL_FROM = env.text("AUDITLOG_EMAIL_FROM", "auditlog@localhost", "Whom mail comes from.")
_MAIL = mail.server_of(AUDITLOG_EMAIL_URL)
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.host, _MAIL.port, _MAIL.user, _MAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.uses_starttls, _MAIL.uses_tls
DEFAULT_FROM_EMAIL = SERVER_EMAIL = AUDITLOG_EMAIL_FROM

# -- export --------------------------------------------------------------------------------------------------------
AUDITLOG_EXPORT_STREAMS = env.integer(
    "AUDITLOG_EXPORT_STREAMS", 4, "Exports that one web process sends at a time, each with a database connection; beyond it callers get 503.", least=1
)
AUDITLOG_EXPORT_STALL_SECONDS = env.seconds(
    "AUDITLOG_EXPORT_STALL_SECONDS", 60, "A client that has not taken the next piece of an export or file (1 MiB at most, as a rule) by then is cut off."
)
AUDITLOG_EXPORT_STREAM_SECONDS = env.seconds("AUDITLOG_EXPORT_STREAM_SECONDS", 3600, "Longest that an export may be sent; for more there are export jobs.")
AUDITLOG_EXPORT_URL = env.text(
    "AUDITLOG_EXPORT_URL",
    (AUDITLOG_STATE_DIR / "exports").absolute().as_uri(),
    "Object storage (file:// or s3://bucket/prefix) for the files of export jobs. Every web process and worker has to reach it.",
    shown_default="file://.../exports in AUDITLOG_STATE_DIR",
)
AUDITLOG_ARCHIVE_URL = env.text(
    "AUDITLOG_ARCHIVE_URL",
    (AUDITLOG_STATE_DIR / "archive").absolute().as_uri(),
    "Object storage (file:// or s3://bucket/prefix) for the segments of the archive. Every web process and worker has to reach it.",
    shown_default="file://.../archive in AUDITLOG_STATE_DIR",
)
AUDITLOG_EXPORT_DAYS = env.integer("AUDITLOG_EXPORT_DAYS", 7, "Days that the file of an export job is kept.", least=1, most=3650)
AUDITLOG_EXPORT_LINK_SECONDS = env.integer(
    "AUDITLOG_EXPORT_LINK_SECONDS", 900, "How long the link to an export's file works, for whoever has it.", least=1, most=7 * 86_400
)
AUDITLOG_EXPORT_JOBS_WAITING = env.integer("AUDITLOG_EXPORT_JOBS_WAITING", 3, "Export jobs that one principal may have under way.", least=1)
AUDITLOG_EXPORT_JOBS_RUNNING = env.integer(
    "AUDITLOG_EXPORT_JOBS_RUNNING", 1, "Export jobs that run at a time, so that workers have room for other tasks.", least=1
)
AUDITLOG_EXPORT_READ_SECONDS = env.seconds("AUDITLOG_EXPORT_READ_SECONDS", 600, "Longest that an export job waits for the next page of entries.")

# -- stream --------------------------------------------------------------------------------------------------------
AUDITLOG_STREAM_CONNECTIONS = env.integer("AUDITLOG_STREAM_CONNECTIONS", 50, "Streams that one principal may have open in one web process.", least=1)
AUDITLOG_STREAM_HEARTBEAT_SECONDS = env.seconds("AUDITLOG_STREAM_HEARTBEAT_SECONDS", 15, "A stream that has nothing to send says so after so long.")
AUDITLOG_STREAM_STALL_SECONDS = env.seconds("AUDITLOG_STREAM_STALL_SECONDS", 15, "A stream whose client takes nothing for so long is cut off.")

AUDITLOG_METRICS_TOKEN = env.text("AUDITLOG_METRICS_TOKEN", "", "Bearer token by which Prometheus reads /metrics. Empty: there is no /metrics.")

# -- accounts ------------------------------------------------------------------------------------------------------
AUDITLOG_CREDENTIAL_CACHE_SECONDS = env.seconds(
    "AUDITLOG_CREDENTIAL_CACHE_SECONDS", 2, "How long a checked credential is taken as valid; a revocation takes effect within it."
)
AUDITLOG_OPERATOR_TENANT = env.text(
    "AUDITLOG_OPERATOR_TENANT",
    "",
    "Slug of the tenant in whose log stands what concerns no tenant: sign-ins of unknown names, the admin's own objects.",
    shown_default="the oldest active tenant",
)
AUDITLOG_REFUSALS_PER_MINUTE = env.integer(
    "AUDITLOG_REFUSALS_PER_MINUTE",
    20,
    "Refused attempts of one actor at one address that each web process records in a minute; the next entry counts those left out.",
    least=1,
)
_access_minutes = env.integer("AUDITLOG_ACCESS_TOKEN_MINUTES", 15, "Life of an access token.", least=1)
_refresh_hours = env.integer("AUDITLOG_REFRESH_TOKEN_HOURS", 24, "Life of a refresh token.", least=1)
AUDITLOG_SIGN_IN_DAYS = env.integer(
    "AUDITLOG_SIGN_IN_DAYS", 30, "After so many days a person has to sign in again, however often their tokens were refreshed.", least=1, most=365
)
AUDITLOG_SECOND_FACTOR = env.choice(
    "AUDITLOG_SECOND_FACTOR",
    ("required", "optional"),
    "required" if USE_TLS else "optional",
    "Whether the admin's pages open without a second factor. Who has one is always asked for it.",
    shown_default="required with AUDITLOG_USE_TLS, else optional",
)

# -- clients of our own --------------------------------------------------------------------------------------------
AUDITLOG_URL = env.text("AUDITLOG_URL", f"http://localhost:{AUDITLOG_PORT}", "Address of the service, for `import_logs`.").rstrip("/")
AUDITLOG_API_KEY = env.text("AUDITLOG_API_KEY", "", "API key that `import_logs` posts with.")
env.refuse_unknown()


def _database(url: str) -> dict[str, Any]:
    """Django's connection settings for a libpq URL; what Django has no name for goes to psycopg as an option."""
    found: dict[str, Any] = dict(conninfo_to_dict(url))
    if not found.get("dbname"):
        raise ImproperlyConfigured("DATABASE_URL names no database.")
    timeout_ms = int(AUDITLOG_DATABASE_TIMEOUT_SECONDS * 1000)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": found.pop("dbname"),
        "USER": found.pop("user", ""),
        "PASSWORD": found.pop("password", ""),
        "HOST": found.pop("host", ""),
        "PORT": str(found.pop("port", "")),
        "OPTIONS": {
            "connect_timeout": 5,
            # A cut network link shows up as an error within this time, not after the kernel's fifteen minutes.
            "tcp_user_timeout": timeout_ms,
            # None: a server-side prepared statement would outlive its transaction, which PgBouncer's transaction mode forbids.
            "prepare_threshold": None,
            **found,
        },
    }


DATABASES: dict[str, dict[str, Any]] = {"default": _database(DATABASE_URL), "maintenance": _database(MAINTENANCE_DATABASE_URL)}
DATABASES["sequencer"] = _database(SEQUENCER_DATABASE_URL)
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 0, "max_size": AUDITLOG_DATABASE_POOL_SIZE, "timeout": 5, "max_idle": 300}
# Migrations reach the same database under another role; tests must not copy it.
DATABASES["maintenance"]["TEST"] = DATABASES["sequencer"]["TEST"] = {"MIRROR": "default"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # Django's admin with a site of our own, which knows the second factor.
    "accounts.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    # For its system checks of the cache.
    "django_ratelimit",
    "channels",
    "csp",
    "django_otp",
    "accounts",
    "logs",
    "archival",
]
MIDDLEWARE = [
    "auditlog_project.middleware.ApiHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Django's own, but not on the API's paths.
    "auditlog_project.middleware.ContentSecurityPolicyMiddleware",
    "auditlog_project.middleware.SessionMiddleware",
    "auditlog_project.middleware.SessionAgeMiddleware",
    "auditlog_project.middleware.CommonMiddleware",
    "auditlog_project.middleware.CsrfViewMiddleware",
    "auditlog_project.middleware.AuthenticationMiddleware",
    "auditlog_project.middleware.SecondFactorMiddleware",
    "auditlog_project.middleware.MessageMiddleware",
    "auditlog_project.middleware.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "auditlog_project.urls"
WSGI_APPLICATION = "auditlog_project.wsgi.application"
ASGI_APPLICATION = "auditlog_project.asgi.application"
APPEND_SLASH = True
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
            ]
        },
    }
]

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

_JSON = "django_redis.serializers.json.JSONSerializer"
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "auditlog",
        # Not pickle, its default: who can write into Redis could have anything run by it.
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 2, "SERIALIZER": _JSON},
    },
    # Requests wait for it: so it is waited for briefly, and never tried twice.
    "limits": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "auditlog:limits",
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.3,
            "SOCKET_TIMEOUT": 0.3,
            "SERIALIZER": _JSON,
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0)},
        },
    },
}
# Of django-ratelimit (accounts.limits).
RATELIMIT_USE_CACHE = "limits"
RATELIMIT_CACHE_PREFIX = "sign_in:"
RATELIMIT_IPV6_MASK = 64
CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL], "prefix": "auditlog"}}}

# kombu spells a Unix socket redis+socket:///path?virtual_host=N.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
# What needs the maintenance role has a worker of its own: the others have no such right.
CELERY_TASK_ROUTES = {
    "archival.tasks.*": {"queue": "archival"},
    # What waits for others' servers has threads of its own: nothing else waits for it.
    "logs.tasks.send_deliveries": {"queue": "deliveries"},
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "auditlog:", "visibility_timeout": 3600}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
DJANGO_CELERY_BEAT_TZ_AWARE = True

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.IsPrincipal"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "accounts.schema.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "accounts.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": datetime.timedelta(minutes=_access_minutes),
    "REFRESH_TOKEN_LIFETIME": datetime.timedelta(hours=_refresh_hours),
    # A token holds a digest of the password's hash, so a new password ends it.
    "CHECK_REVOKE_TOKEN": True,
    # Signed and verified by accounts.tokens alone: the library's own classes have no key, so they can do neither.
    "ALGORITHM": "EdDSA",
    "SIGNING_KEY": None,
    "ISSUER": "auditlog",
    "AUDIENCE": "auditlog",
    "LEEWAY": 10,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Audit log API",
    "DESCRIPTION": "Post audit entries and read them back.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.0.3",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # One name for one set of words, whichever field has them.
    "ENUM_NAME_OVERRIDES": {
        "Severity": ["INFO", "WARNING", "ERROR", "CRITICAL"],
        "Outcome": ["unknown", "success", "failure"],
        "MaskingKind": ["key", "pattern"],
        "ForwarderKind": ["webhook", "splunk", "syslog", "objects"],
        "DeliveryTargetKind": ["webhook", "slack", "email"],
        "MaskingAction": ["redact", "partial", "hash", "encrypt", "drop"],
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static-built"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served by the web processes themselves; a proxy in front may serve what `collectstatic` gathered.
WHITENOISE_USE_FINDERS = True
# It finds the files where the apps keep them, so the folder that `collectstatic` fills need not be there.
warnings.filterwarnings("ignore", "No directory at", UserWarning)

# -- pages ---------------------------------------------------------------------------------------------------------
# The prefix makes browsers refuse the cookie from a subdomain, with a path, or without TLS.
_cookie_prefix = "__Host-" if USE_TLS else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_cookie_prefix}session", f"{_cookie_prefix}csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE, CSRF_COOKIE_SAMESITE = "Lax", "Strict"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = USE_TLS
SESSION_ENGINE = "django.contrib.sessions.backends.db"
# Idle for so long, a session is over; each request begins it anew. Its whole age is bounded by SessionAgeMiddleware.
SESSION_COOKIE_AGE = 30 * 60
SESSION_SAVE_EVERY_REQUEST = True
SESSION_EXPIRE_AT_BROWSER_CLOSE = False
AUDITLOG_SESSION_HOURS = 12
LOGIN_URL = "admin:login"
OTP_TOTP_ISSUER = "Audit log"
SECURE_HSTS_SECONDS = 31_536_000 if USE_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = USE_TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
# From a trusted proxy only: the middleware ApiHeaders takes it out of other requests (accounts.addresses).
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if USE_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# No page has a script or a style of its own in it, so none that somebody brought in runs either.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
SILENCED_SYSTEM_CHECKS = [
    # They look for Django's own middleware by name; ours are subclasses that keep off the API.
    "security.W002",
    "security.W003",
]
# Bodies of the API are bounded while they are read (logs.ingest.body); this bounds the forms of the admin.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "auditlog_project.log_lines.InertFormatter", "format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Refusals (4xx) are answers, not faults of the server.
        "django.request": {"level": "ERROR"},
        # Django's own handlers: a line for each request of `runserver`, and mail to people who do not exist.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        "psycopg.pool": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
        # The web server's, whose own formatter prints what comes.
        "_granian": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "granian.access": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
