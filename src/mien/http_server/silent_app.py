"""An application of FastAPI that tells nobody about its requests."""

from typing import Any

from fastapi import FastAPI


def silent_app(title: str, **settings: Any) -> FastAPI:
    """A new application without pages of documentation, which would load scripts from elsewhere.

    `settings`: others that FastAPI takes, such as `version`. Unless `openapi_url` is among them, it does not describe itself.
    """
    return FastAPI(
        title=title, docs_url=None, redoc_url=None,
        # All links are relative: nobody knows what a proxy puts before them.
        redirect_slashes=False,
        # FastAPI would send requests, answers among them, to a collector of traces that the environment names.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        **{"openapi_url": None} | settings,
    )  # fmt: skip
