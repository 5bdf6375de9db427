# The one product image: controller, auth service and gateway.
#   make image          builds the wheel and this image, with Docker or buildah
# BASE_IMAGE is any image with Python 3.11 or newer and its venv module.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim
FROM ${BASE_IMAGE}
# `--no-index --find-links=/wheels` where there is no package index.
ARG PIP_OPTIONS=""
COPY requirements.lock /tmp/requirements.lock
RUN python3 -m venv /opt/liveconnect \
 && /opt/liveconnect/bin/pip install --no-cache-dir ${PIP_OPTIONS} --require-hashes -r /tmp/requirements.lock
COPY build/dist/*.whl /tmp/dist/
RUN /opt/liveconnect/bin/pip install --no-cache-dir --no-index --no-deps /tmp/dist/*.whl \
 && /opt/liveconnect/bin/python -m compileall -q /opt/liveconnect/lib
ENV PATH=/opt/liveconnect/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
CMD ["liveconnect-controller"]
