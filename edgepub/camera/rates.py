"""How often something may happen: evenly, or as often as a queue can bear. Pure: the clock is given."""

from math import inf

_ROUNDING_S = 1e-6  # clocks are sums of periods


class RateLimiter:
    """Lets things happen at most so often, evenly.

    One that comes late, by up to half a period, does not delay those after it: so a source whose rate is no multiple of
    the limit still comes near it, and one that jitters around it loses nothing. On average never more than the
    rate; two never nearer than half a period; one that comes a whole period after the last is always let through.

    Args:
        rate_hz: how often; infinite: no limit. It may be changed, and takes effect at once.

    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._due_s = -inf  # when the last one was due
        self._last_s = -inf  # when it came

    def allows(self, now_s: float) -> bool:
        """Return whether it may happen now."""
        return now_s >= self._next_s() - _ROUNDING_S

    def spend(self, now_s: float) -> None:
        """Let it happen now."""
        due_s = self._next_s()
        self._due_s = due_s if -inf < due_s < now_s else now_s
        self._last_s = now_s

    def admit(self, now_s: float) -> bool:
        """Let it happen if it may; return whether it did."""
        allowed = self.allows(now_s)
        if allowed:
            self.spend(now_s)
        return allowed

    def _next_s(self) -> float:
        period_s = 1 / self.rate_hz
        return max(self._due_s + period_s, self._last_s + period_s / 2)


class AdaptiveRateLimiter:
    """Lets things happen as often as a queue can bear: additive increase, multiplicative decrease.

    Once a second it looks at how long the oldest of them has waited. Too long: half the rate. Else: more by a tenth of
    the rate at which they come, until that is reached and everything passes. Source: D. M. Chiu, R. Jain, "Analysis of
    the Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989.
    """

    _EVERY_S = 1.0
    _TOO_OLD_S = 0.5
    _LEAST_HZ = 0.1

    def __init__(self) -> None:
        self._spacing = RateLimiter(inf)
        self._looked_s: float | None = None
        self._offered = 0

    def allows(self, now_s: float, age_s: float) -> bool:
        """Return whether it may happen now; to be asked for each that comes.

        Args:
            now_s: the time.
            age_s: how long the oldest in the queue has waited; 0 when it is empty.

        """
        if self._looked_s is None:
            self._looked_s = now_s
        elif now_s - self._looked_s >= self._EVERY_S:
            self._adapt(self._offered / (now_s - self._looked_s), age_s)
            self._looked_s, self._offered = now_s, 0
        self._offered += 1
        return self._spacing.allows(now_s)

    def spend(self, now_s: float) -> None:
        """Let it happen now."""
        self._spacing.spend(now_s)

    def _adapt(self, offered_hz: float, age_s: float) -> None:
        rate_hz = self._spacing.rate_hz
        if age_s > self._TOO_OLD_S:
            self._spacing.rate_hz = max(min(rate_hz, offered_hz) / 2, self._LEAST_HZ)
        elif rate_hz < inf:
            raised_hz = rate_hz + offered_hz / 10
            self._spacing.rate_hz = raised_hz if raised_hz < offered_hz else inf
