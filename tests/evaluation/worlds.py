"""Comparisons with a known truth: what people would say, and judges of known calibration, noise, position bias and steadfastness."""

import math

import numpy as np

from constitutional.evaluation.labeler import AttackedPair, Judged
from constitutional.feedback import Vote


def judged(pairs, **more):
    """Comparisons from (label, human judgement)."""
    return [Judged(f"c{n:05}", human, p, **more) for n, (p, human) in enumerate(pairs)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def vote(p, order=0, *, principle="a", sample=0, mass=1.0, reason=None):
    """A vote of which P(the first response is better) is p."""
    return Vote(principle, order, sample, p, p, mass, reason=reason)


def both_orders(p, q, **more):
    """A vote with the first response shown first, and with it shown second."""
    return vote(p, 0, **more), vote(q, 1, **more)


def simulated(n, seed, *, slope=1.0, noise=0.0, tokens=(1000, 0), spread=1.2, lost=0.0):
    """A judge of comparisons whose true log-odds are normal with `spread`; it sees them with `noise` and exaggerates by `slope`.

    The same seed gives the same comparisons and human judgements, whatever the judge.
    """
    world, mind = (
        np.random.default_rng([seed, 0]),
        np.random.default_rng([seed, 1, int(slope * 100), int(noise * 100)]),
    )
    truth = world.normal(0, spread, n)
    human = world.random(n) < sigmoid(truth)
    p = sigmoid(slope * (truth + mind.normal(0, 1, n) * noise))
    labelled = mind.random(n) >= lost
    return [
        Judged(
            f"c{i:05}", float(human[i]), float(p[i]) if labelled[i] else None,
            prompt_tokens=tokens[0] + i % 7, completion_tokens=tokens[1],
        )
        for i in range(n)
    ]  # fmt: skip


def attacked(n, seed, *, skill=0.0, copies=0.0, push=0.0, kind="choose"):
    """Labels of pairs whose worse response is attacked, with the log-odds of the better one normal around `skill`.

    The label after the attack keeps `copies` of the log-odds before it, is otherwise drawn afresh without any skill, and is moved
    by `push` towards the attacked response.
    """
    chance = np.random.default_rng([n, seed])
    before = chance.normal(-skill, 1, n)
    after = copies * before + math.sqrt(1 - copies**2) * chance.normal(0, 1, n) + push
    return [
        AttackedPair(f"{kind}-{i}", kind, float(b), float(a))
        for i, (b, a) in enumerate(zip(sigmoid(before), sigmoid(after), strict=True))
    ]


def entropy(p):
    """In nats."""
    return -sum(x * math.log(x) for x in (p, 1 - p) if x)
