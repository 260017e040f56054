"""How many claims are answered, and when."""

import itertools
import random

from edgepub.mqtt.claim_pacer import ClaimPacer


class Paced:
    """A pacer with a clock that is put forward by hand."""

    def __init__(self, max_keys=3):
        self.now_s, self.applied, self._timers = 0.0, [], []
        self.pacer = ClaimPacer(lambda key: self.applied.append((self.now_s, key)), 1.0, max_keys, self._call_later)

    def _call_later(self, seconds, function):
        self._timers.append((self.now_s + seconds, function))

    def put(self, *keys):
        for key in keys:
            self.pacer.put(key)

    def forward(self, seconds):
        end_s = self.now_s + seconds
        while self._timers and self._timers[0][0] <= end_s:
            self.now_s, function = self._timers.pop(0)
            function()
        self.now_s = end_s

    @property
    def is_idle(self):
        return not self._timers


def test_the_first_of_each_key_is_immediate_and_a_later_one_waits_for_the_end():
    paced = Paced()
    paced.put("a", "b", "a", "a")
    assert paced.applied == [(0, "a"), (0, "b")]
    paced.forward(1)
    assert paced.applied[2:] == [(1, "a")]
    paced.put("b")
    assert paced.applied[3:] == [(1, "b")]
    paced.forward(2)
    assert paced.is_idle
    assert len(paced.applied) == 4


def test_a_flood_of_one_key_and_of_many():
    for keys in (["a"] * 1000, [str(n) for n in range(1000)]):
        paced = Paced()
        for _ in range(10):
            paced.put(*keys)
            paced.forward(1)
        assert len(paced.applied) <= 3 * 11


def test_in_no_interval_is_a_key_applied_twice_and_the_last_one_is_never_lost():
    for seed in range(200):
        choice, paced, last_s = random.Random(seed), Paced(max_keys=5), {}
        for _ in range(100):
            key = choice.choice("abcde")
            paced.put(key)
            last_s[key] = paced.now_s
            paced.forward(choice.choice([0, 0.1, 0.5, 1.0, 3.0]))
        paced.forward(3)
        assert paced.is_idle
        for key, put_s in last_s.items():
            times_s = [at_s for at_s, name in paced.applied if name == key]
            assert put_s <= times_s[-1] <= put_s + 1.0001
            assert all(later - earlier > 0 for earlier, later in itertools.pairwise(times_s))
        assert all(
            sum(at_s <= other_s < at_s + 1 for other_s, _ in paced.applied) <= 2 * 5 for at_s, _ in paced.applied
        )
