FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt

COPY manage.py .
COPY project project
COPY sagas sagas
COPY integrations integrations
COPY templates templates

# Collecting static files reads the settings, which refuse to be read without these; none is kept.
RUN ENVIRONMENT=production SECRET_KEY=only-to-collect-static-files-in-this-one-build-step-00000000 \
    ALLOWED_HOSTS=localhost DATABASE_URL=postgresql://nowhere/none \
    BROKER_URL=redis://nowhere REDIS_URL=redis://nowhere \
    python manage.py collectstatic --noinput

# A volume that is mounted there belongs to whom the directory does.
RUN useradd --system --no-create-home app && install --directory --owner=app --mode=700 /anchors
USER app
ENV ENVIRONMENT=production
EXPOSE 8000
CMD ["gunicorn", "project.wsgi", "--bind=0.0.0.0:8000", "--workers=2", "--threads=4", \
     "--worker-class=project.server.Worker", \
     "--no-control-socket", "--worker-tmp-dir=/dev/shm", "--access-logfile=-", \
     "--logger-class=project.access.AccessLogger"]
