"""Rate limits: a fixed one, and one that adapts to a queue. Pure: the caller gives the time."""

from math import inf

_ROUNDING_S = 1e-6  # clocks are sums of periods


class RateLimiter:
    """Allows at most `rate_hz` events a second, evenly spaced.

    An event that is late by up to half a period does not delay the ones after it. So a source whose rate is no multiple
    of the limit still comes near the limit, and a source that jitters around it loses nothing. The average never
    exceeds the rate. Two events are never closer than half a period. An event a whole period after the last one is
    always allowed.

    Args:
        rate_hz: events a second; infinite: no limit. It may be changed, with immediate effect.

    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._due_s = -inf  # when the last event was due
        self._last_s = -inf  # when it came

    def allows(self, now_s: float) -> bool:
        """Return whether an event is allowed now."""
        return now_s >= self._next_s() - _ROUNDING_S

    def spend(self, now_s: float) -> None:
        """Count an event now."""
        due_s = self._next_s()
        self._due_s = due_s if -inf < due_s < now_s else now_s
        self._last_s = now_s

    def admit(self, now_s: float) -> bool:
        """Count an event now if it is allowed; return whether it is."""
        allowed = self.allows(now_s)
        if allowed:
            self.spend(now_s)
        return allowed

    def _next_s(self) -> float:
        period_s = 1 / self.rate_hz
        return max(self._due_s + period_s, self._last_s + period_s / 2)


class AdaptiveRateLimiter:
    """Allows as many events as a queue can take: additive increase, multiplicative decrease.

    Once a second it checks how long the oldest message in the queue has waited. Too long: it halves the rate.
    Otherwise it raises the rate by a tenth of the rate at which events are offered, until every event passes. Source:
    D. M. Chiu, R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer
    Networks", 1989.
    """

    _PERIOD_S = 1.0
    _MAX_AGE_S = 0.5
    _MIN_RATE_HZ = 0.1

    def __init__(self) -> None:
        self._limiter = RateLimiter(inf)
        self._adapted_s: float | None = None
        self._offered = 0

    def allows(self, now_s: float, age_s: float) -> bool:
        """Return whether an event is allowed now. Call this for every event that is offered.

        Args:
            now_s: the time.
            age_s: how long the oldest message in the queue has waited; 0 when the queue is empty.

        """
        if self._adapted_s is None:
            self._adapted_s = now_s
        elif now_s - self._adapted_s >= self._PERIOD_S:
            self._adapt(self._offered / (now_s - self._adapted_s), age_s)
            self._adapted_s, self._offered = now_s, 0
        self._offered += 1
        return self._limiter.allows(now_s)

    def spend(self, now_s: float) -> None:
        """Count an event now."""
        self._limiter.spend(now_s)

    def _adapt(self, offered_hz: float, age_s: float) -> None:
        rate_hz = self._limiter.rate_hz
        if age_s > self._MAX_AGE_S:
            self._limiter.rate_hz = max(min(rate_hz, offered_hz) / 2, self._MIN_RATE_HZ)
        elif rate_hz < inf:
            raised_hz = rate_hz + offered_hz / 10
            self._limiter.rate_hz = raised_hz if raised_hz < offered_hz else inf
