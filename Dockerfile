# The digest is that of python:3.13.15-slim-trixie (Python 3.13.15, Debian 13). Renew it with each
# release, for the sake of Debian's fixes: docker buildx imagetools inspect python:3.13-slim tells it.
ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock requirements-build.lock ./
# What the gateway stands on is installed here too: the compiler reads its types.
RUN pip install --no-deps --require-hashes --requirement requirements-build.lock --requirement requirements.lock \
    && python -m venv --without-pip /opt/gateway \
    && pip --python /opt/gateway/bin/python install --no-deps --require-hashes --requirement requirements.lock
COPY pyproject.toml setup.py README.md LICENSE ./
COPY gateway ./gateway
RUN GATEWAY_COMPILE=1 pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && pip --python /opt/gateway/bin/python install --no-deps --no-index /wheels/*.whl \
    && /opt/gateway/bin/theeye-sync-gateway --version | grep compiled

FROM ${BASE}
ARG BASE
ARG REVISION=""
LABEL org.opencontainers.image.title="theeye-sync-gateway" \
      org.opencontainers.image.description="A gateway in front of TheEye that lets API callers wait for a job's result" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/${BASE}"
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/gateway /opt/gateway
# A number, so that Kubernetes can see that it is not root's.
USER 65532:65532
EXPOSE 6090 6091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:6091/live', timeout=2)"]
ENTRYPOINT ["theeye-sync-gateway"]
CMD ["serve"]
