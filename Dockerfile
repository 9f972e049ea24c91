# Sealgate in a container: nothing but the gateway and its locked, hash-checked dependencies, run by an unprivileged user.
#
#   docker build -t sealgate .
#   docker run --rm -v ./sealgate.yaml:/etc/sealgate/sealgate.yaml:ro -p 8443:8443 sealgate
#
# It writes to /tmp (metrics of several workers) and, with cse rules, to the staging store in /var/lib/sealgate, so the
# root file system can be read-only with a tmpfs and a volume there.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

COPY requirements.lock ./
COPY deploy/locked_subset.py deploy/
RUN python -m venv /build/tools \
 && python deploy/locked_subset.py requirements.lock hatchling > tools.lock \
 && /build/tools/bin/pip install --require-hashes --only-binary :all: -r tools.lock
RUN python -m venv /opt/sealgate \
 && python deploy/locked_subset.py requirements.lock > runtime.lock \
 && /opt/sealgate/bin/pip install --require-hashes --only-binary :all: -r runtime.lock

COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN /build/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/sealgate/bin/pip install --no-deps --no-index dist/*.whl \
 && /opt/sealgate/bin/pip uninstall --yes pip

FROM python:3.11-slim
RUN useradd --uid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sealgate \
 && mkdir /etc/sealgate \
 && install --directory --owner 65532 --group 65532 --mode 0700 /var/lib/sealgate
COPY --from=build /opt/sealgate /opt/sealgate
ENV PATH=/opt/sealgate/bin:$PATH PYTHONUNBUFFERED=1
USER 65532:65532
# HTTPS, refused plain HTTP, health and metrics, as in config/profiles/gateway.yaml.
EXPOSE 8443 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9090/livez', timeout=4)"]
ENTRYPOINT ["sealgate"]
CMD ["serve", "--config", "/etc/sealgate/sealgate.yaml"]
