"""What the front counts, for `GET /metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Figures:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.predictions = Counter(
            "jsd_predictions", "Predictions that were answered, by their status", ["status"], registry=self.registry
        )
        self.refused = Counter("jsd_refused", "Requests that were refused", ["reason"], registry=self.registry)
        self.waiting = Gauge("jsd_waiting", "Requests that wait for their turn", registry=self.registry)
        self.waiting_seconds = Histogram(
            "jsd_waiting_seconds", "From a request to its turn", buckets=SECONDS, registry=self.registry
        )
        self.drawing_seconds = Histogram(
            "jsd_drawing_seconds",
            "From a request's turn to the end of its answer",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.restarts = Gauge("jsd_restarts", "Times that Cog's server was started anew", registry=self.registry)

    def page(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
