"""The agent in numbers: what its runs of the last hour came to, how they went, and what they cost. Over all tenants."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from desk.traces import percentile
from policies.budget import EXHAUSTED
from records.books import Books, Row

READY = "draft_ready_for_review"
WENT_WRONG = EXHAUSTED | {"loop_detected", "model_unavailable", "tool_unavailable", "draft_failed_checks"}
BUDGETS = ("step", "token", "latency", "cost")
QUANTILES = (0.5, 0.95, 0.99)


@dataclass
class Hour:
    """What the books say of the last hour."""

    runs: list[Row] = field(default_factory=list)
    paths: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Stops and ends by status and reason."""

    tools: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    thumbs: Counter[str] = field(default_factory=Counter)
    day_micros: int = 0
    month_micros: int = 0
    share: int = 0

    def counted(self, *wanted: str) -> int:
        """How many runs stopped with one of these reasons."""
        return sum(cases for (_, reason), cases in self.paths.items() if reason in wanted)

    @property
    def stops(self) -> int:
        """Runs that came to a pause or a block."""
        return sum(cases for (status, _), cases in self.paths.items() if status in {"needs_human", "blocked"})

    @property
    def blocked(self) -> int:
        return sum(cases for (status, _), cases in self.paths.items() if status == "blocked")

    @property
    def success(self) -> float | None:
        """Share of runs that ended neither blocked nor because something gave way; None without runs."""
        wrong = self.blocked + self.counted(*WENT_WRONG)
        return 1 - wrong / self.stops if self.stops else None

    @property
    def handed_over(self) -> float | None:
        """Share of runs that a person got for any reason but a draft to review."""
        waits = sum(cases for (status, _), cases in self.paths.items() if status == "needs_human")
        ready = self.paths["needs_human", READY]
        return (waits - ready) / waits if waits else None


async def agents_hour(books: Books) -> Hour:
    """The last hour over every tenant."""
    hour = Hour()
    for tenant in await books.tenants():
        reads = books.reading(tenant)
        hour.runs += await reads.rows("runs_of_hour")
        for row in await reads.rows("pauses_of_hour"):
            hour.paths[row["status"], row["reason"]] += row["cases"]
        for row in await reads.rows("tools_of_hour"):
            hour.tools[row["action"], row["result"]] += row["calls"]
        for row in await reads.rows("calls_of_hour"):
            hour.calls[row["feature"], row["endpoint"], row["outcome"]] += row["calls"]
            hour.tokens[row["feature"]] += row["tokens"]
        for row in await reads.rows("findings_of_hour"):
            hour.findings[row["kind"]] += row["findings"]
        for row in await reads.rows("ratings_counted", days=7):
            hour.thumbs[row["thumb"]] += row["ratings"]
        spent = await reads.row("spent_now")
        if spent is not None:
            hour.day_micros += spent["day_micros"]
            hour.month_micros += spent["month_micros"]
            hour.share = max(hour.share, spent["share"])
    return hour


class AgentMeters:
    """The gauges; each name says its window."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(f"countersign_{name}", says, labels, registry=registry)

        self._paths = gauge("paths_last_hour", "Runs by where they stopped or ended.", "status", "reason")
        self._tools = gauge("tool_calls_last_hour", "Tool calls by result.", "tool", "result")
        self._calls = gauge(
            "model_calls_last_hour", "Model calls by how they ended.", "feature", "endpoint", "outcome"
        )
        self._tokens = gauge("model_tokens_last_hour", "Tokens by feature.", "feature")
        self._findings = gauge("findings_last_hour", "What code noticed, by kind.", "kind")
        self._breaches = gauge("budget_breaches_last_hour", "Runs that stopped at a budget.", "budget")
        self._runs = gauge("runs_last_hour", "Runs.")
        self._looped = gauge("loops_last_hour", "Runs in which a loop was seen.")
        self._blocked = gauge("blocked_last_hour", "Runs that were blocked.")
        self._success = gauge(
            "success_ratio", "Runs that neither were blocked nor gave way; of the last hour."
        )
        self._handed = gauge(
            "handed_over_ratio", "Pauses for any reason but a draft to review; of the last hour."
        )
        self._cited = gauge("grounded_ratio", "Policy lookups that found a clause; of the last hour.")
        self._failed_checks = gauge("failed_checks_last_hour", "Drafts of a model that did not pass a check.")
        self._latency = gauge("run_seconds", "Seconds of a run, of the last hour.", "quantile")
        self._steps = gauge("run_steps", "Steps of a run, of the last hour.", "quantile")
        self._mean_steps = gauge("run_steps_mean", "Steps of a run on average, of the last hour.")
        self._mean_tokens = gauge("run_tokens_mean", "Tokens of a run on average, of the last hour.")
        self._mean_cost = gauge("run_cost_usd_mean", "US dollars of a run on average, of the last hour.")
        self._spend = gauge("spend_usd", "US dollars spent on models.", "period")
        self._share = gauge(
            "month_budget_percent", "The share of a month's budget that a tenant was told of."
        )
        self._thumbs = gauge("thumbs", "Thumbs of the last seven days.")
        self._satisfied = gauge("satisfaction_ratio", "Thumbs up of all thumbs, of the last seven days.")

    def show(self, hour: Hour) -> None:
        """Set every gauge to what the books say."""
        for meter, counted in (
            (self._paths, hour.paths),
            (self._tools, hour.tools),
            (self._calls, hour.calls),
        ):
            _labelled(meter, counted)
        _labelled(self._tokens, {(name,): count for name, count in hour.tokens.items()})
        _labelled(self._findings, {(name,): count for name, count in hour.findings.items()})
        for budget in BUDGETS:
            self._breaches.labels(budget).set(hour.counted(f"{budget}_budget_exhausted"))
        self._runs.set(len(hour.runs))
        self._looped.set(sum(bool(run["looped"]) for run in hour.runs))
        self._blocked.set(hour.blocked)
        found = hour.tools["get_policy_evidence", "grounded"]
        asked = found + hour.tools["get_policy_evidence", "abstain"]
        thumbs = sum(hour.thumbs.values())
        self._thumbs.set(thumbs)
        for meter, ratio in (
            (self._success, hour.success),
            (self._handed, hour.handed_over),
            (self._cited, found / asked if asked else None),
            (self._satisfied, hour.thumbs["up"] / thumbs if thumbs else None),
        ):
            # Where there is nothing to take a share of, there is no share: no alert fires on silence.
            meter.set(float("nan") if ratio is None else ratio)
        self._failed_checks.set(hour.findings["failed_check"])
        took = sorted(int(run["latency_ms"]) for run in hour.runs)
        steps = sorted(int(run["steps"]) for run in hour.runs)
        for quantile in QUANTILES:
            self._latency.labels(str(quantile)).set(percentile(took, quantile) / 1000)
            self._steps.labels(str(quantile)).set(percentile(steps, quantile))
        self._mean_steps.set(_mean(hour.runs, "steps"))
        self._mean_tokens.set(_mean(hour.runs, "tokens"))
        self._mean_cost.set(_mean(hour.runs, "cost_micros") / 1_000_000)
        self._spend.labels("day").set(hour.day_micros / 1_000_000)
        self._spend.labels("month").set(hour.month_micros / 1_000_000)
        self._share.set(hour.share)


def _mean(runs: Sequence[Row], name: str) -> float:
    return sum(int(run[name]) for run in runs) / len(runs) if runs else 0.0


def _labelled(meter: Gauge, counted: Mapping[Any, int]) -> None:
    meter.clear()
    for labels, count in counted.items():
        meter.labels(*labels).set(count)
