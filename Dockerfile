# A service that names expressions: docker build -t mien . && docker run --read-only -p 127.0.0.1:8080:8080 mien
FROM python:3.13-slim
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE LICENSES.md ./
# With what make web put into it; else the service has no page in the browser.
COPY src ./src
# The versions of the locks, and no others: constraints.txt names them all.
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve]" && rm -rf /build/src
WORKDIR /
# Nobody in particular, who may write nothing.
RUN useradd --system --no-create-home --uid 10001 mien
USER mien
ENV ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health')"]
CMD ["mien", "serve", "mien-s", "--host", "0.0.0.0", "--port", "8080"]
