"""`startproject`'s settings with Django REST framework and token authentication, for PostgreSQL."""

import os

from psycopg.conninfo import conninfo_to_dict

SCHEMA = "stock_peer"
SECRET_KEY = os.environ["STOCK_PEER_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
_address = conninfo_to_dict(os.environ["STOCK_PEER_DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _address["dbname"],
        "USER": _address["user"],
        "PASSWORD": _address["password"],
        "HOST": _address["host"],
        "PORT": _address["port"],
        "OPTIONS": {"options": f"-c search_path={SCHEMA}"},
        # A connection a thread, kept: connecting for each request would halve the figure.
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "rest_framework.authtoken",
    "benchmarks.stock_peer",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "benchmarks.stock_peer.urls"
WSGI_APPLICATION = "benchmarks.stock_peer.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
