# One image for every role; the arguments say which: `serve`, `work relay`, `schema apply`, …
#
#   docker build -t fairdrop .
#   docker run --read-only --tmpfs /tmp -e PORT=8080 -p 8080:8080 fairdrop serve --host 0.0.0.0
#
# Nothing is written but to /tmp (FAIRDROP_STATE_DIR, which production does not use) and /dev/shm (gunicorn's heartbeats, a file that
# is touched every second and must be in memory; GUNICORN_CMD_ARGS puts it elsewhere).
#
# The tag is exact but a tag can move. To pin what it is today: docker buildx imagetools inspect python:3.11.14-slim-bookworm,
# and append @sha256:… in both places. The digest is not here because it could not be looked up where this was written.

FROM python:3.11.14-slim-bookworm AS build

WORKDIR /build
RUN python -m venv --without-pip /opt/fairdrop
COPY requirements-runtime.lock ./
# Wheels only, each by its hash: nothing is compiled, and nothing comes that was not locked.
RUN python -m pip --python /opt/fairdrop/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes \
      --only-binary=:all: --disable-pip-version-check -r requirements-runtime.lock

COPY app /srv/fairdrop/app
COPY emulator /srv/fairdrop/emulator
COPY spanner_schema /srv/fairdrop/spanner_schema
COPY scripts/fairdrop-in-image /opt/fairdrop/bin/fairdrop
# The start is quicker compiled; by hash and not by time, so that the same source gives the same image.
RUN /opt/fairdrop/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/fairdrop/lib /srv/fairdrop

# checkov:skip=CKV_DOCKER_2:a role may be a worker, which answers nobody; Cloud Run and Kubernetes look at /readyz and /healthz by themselves
FROM python:3.11.14-slim-bookworm

ENV PATH=/opt/fairdrop/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/srv/fairdrop \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    FAIRDROP_STATE_DIR=/tmp/fairdrop \
    GUNICORN_CMD_ARGS="--worker-tmp-dir=/dev/shm --no-control-socket"

COPY --from=build /opt/fairdrop /opt/fairdrop
COPY --from=build /srv/fairdrop /srv/fairdrop

WORKDIR /srv/fairdrop
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080

# No shell: SIGTERM reaches the process itself. `serve` takes PORT, as Cloud Run sets it.
ENTRYPOINT ["/opt/fairdrop/bin/fairdrop"]
CMD ["serve", "--host", "0.0.0.0"]
