"""``/metrics`` for Prometheus: counts and times, without content and without a label that names a person.

Who may read it: whoever asks from this machine without a proxy in between (no forwarding header), or with an API key.
"""

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from commun.api.keys import check_caller, services_of
from commun.assistant.turn import Answer
from commun.engine.base import EngineState
from commun.errors import CommunError

if TYPE_CHECKING:
    from commun.services import Services

LOOPBACK = ("127.", "::1", "::ffff:127.")
FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip")
FIRST_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds
TOTAL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)  # seconds


class Metrics:
    """One server's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._requests = Counter(
            "commun_requests", "Requests, by route and status.", ["route", "status"], registry=registry
        )
        self._turns = Counter("commun_turns", "Ended turns, by outcome.", ["outcome"], registry=registry)
        self._prompt_tokens = Counter("commun_prompt_tokens", "Tokens read.", registry=registry)
        self._answer_tokens = Counter("commun_answer_tokens", "Tokens written.", registry=registry)
        self._first = Histogram(
            "commun_first_token_seconds", "Time to the first token.", buckets=FIRST_TOKEN_BUCKETS, registry=registry
        )
        self._total = Histogram(
            "commun_answer_seconds", "Time of a whole answer.", buckets=TOTAL_BUCKETS, registry=registry
        )
        self._queued = Histogram(
            "commun_queued_seconds", "Time in the waiting room.", buckets=TOTAL_BUCKETS, registry=registry
        )
        self._running = Gauge("commun_running", "Answers being written.", registry=registry)
        self._waiting = Gauge("commun_waiting", "Questions in the waiting room.", registry=registry)
        self._engine = Gauge("commun_engine_state", "1 for the engine's state.", ["state"], registry=registry)
        self._edition = Gauge(
            "commun_charter_edition", "Number of the edition in force; 0: no valid charter.", registry=registry
        )
        self._stale = Gauge("commun_charter_stale", "1 when the board's mandate has ended.", registry=registry)
        self._seen: dict[tuple[str, int], Counter] = {}

    def request_ended(self, route: str, status: int) -> None:
        child = self._seen.get((route, status))
        if child is None:
            child = self._seen[(route, status)] = self._requests.labels(route, str(status))
        child.inc()

    def turn_ended(self, answer: Answer, error: CommunError | None) -> None:
        """Given to ``Assistant.watch``."""
        self._turns.labels(error.code if error else answer.finish_reason).inc()
        self._prompt_tokens.inc(answer.prompt_tokens)
        self._answer_tokens.inc(answer.completion_tokens)
        self._queued.observe(answer.queued_s)
        if answer.completion_tokens:
            self._first.observe(answer.first_token_s)
            self._total.observe(answer.total_s)

    def page(self, services: "Services") -> bytes:
        """Prometheus's text, with the state of this moment."""
        self._running.set(services.assistant.running)
        self._waiting.set(services.assistant.waiting)
        in_force = services.charter.find()
        self._edition.set(in_force.edition.number if in_force else 0)
        self._stale.set(bool(in_force and in_force.stale_since))
        for state in EngineState:
            self._engine.labels(state.value).set(services.assistant.state is state)
        return generate_latest(self.registry)

    async def answer(self, request: Request) -> Response:
        """GET /metrics."""
        if not is_local(request):
            await check_caller(request)
        return Response(self.page(services_of(request)), headers={"content-type": CONTENT_TYPE_LATEST})


def is_local(request: Request) -> bool:
    """From this machine, and not passed on for somebody else."""
    host = request.client.host if request.client else ""
    return host.startswith(LOOPBACK) and not any(name in request.headers for name in FORWARDING)
