"""Structured log lines on standard error; never content of conversations (a test plants canaries and looks)."""

import logging
import sys

import structlog

from commun.config import Settings


def configure_logs(settings: Settings) -> None:
    """``log_format`` "json": one object a line, times in UTC; "console": for eyes. Foreign libraries: warnings only."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    # A traceback's local variables would hold what somebody wrote.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    without_locals = structlog.processors.ExceptionRenderer(transformer)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_locals if settings.log_format == "json" else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Each line in one piece, its end too: what other threads print never stands within it.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what it would say, we say
