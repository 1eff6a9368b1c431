"""Runs of `label` made on the spot: a ledger with votes that say what a test wants them to say."""

from constitutional import Constitution, Principle
from constitutional.feedback import Label, Vote
from constitutional.jobs.label_data import KIND
from constitutional.ledger import PlannedRow
from constitutional.records import Outcome
from constitutional.rundir import RunDirectory
from constitutional.stages.label import LabelSettings
from constitutional.stages.votes import aggregate


def questions(**weights):
    """A constitution of principles by id, `_` standing for `-`, with their weights."""
    return Constitution(
        "for-tests",
        [
            Principle(id.replace("_", "-"), preference=f"Which is better by {id}?", weight=weight)
            for id, weight in weights.items()
        ],
    )


def votes_of(mass=0.9, **probabilities):
    """Votes by principle: of each, P(the first response is better) in both orders, for each sample."""
    return [
        Vote(id.replace("_", "-"), order, sample, p, p, None if mass is None else mass)
        for id, pairs in probabilities.items()
        for sample, pair in enumerate(pairs if isinstance(pairs, list) else [pairs])
        for order, p in enumerate(pair)
    ]


def label_of(id, votes, settings=None, weights=None):
    """The label that the votes make under these settings, or, where none counts, just these votes."""
    settings = settings or LabelSettings(principles="all")
    tally = aggregate(
        votes,
        clamp=settings.lower,
        order_average=settings.order_average,
        min_mass=settings.min_mass,
        low_mass=settings.low_mass,
        weights=weights,
    )
    if tally.probability is None:
        return id, tally
    return Label(id, tally.probability, tally.standard_error, tally.units, tally.votes)


def write_labels(out, labels, constitution, settings=None, *, human=None, to_do=0, skipped=0, stage="label"):
    """A run directory with these labels, as many still to do and skipped; `human` is people's P(first), by id."""
    settings = settings or LabelSettings(principles="all")
    labels, human = list(labels), human or {}
    ids = [label[0] if isinstance(label, tuple) else label.id for label in labels]
    rows = [
        PlannedRow(KIND, id, id, {"messages": [], "responses": [], "human": human.get(id), "weight": 1.0})
        for id in [*ids, *(f"to-do-{n}" for n in range(to_do))]
    ]
    rows += [
        PlannedRow(KIND, f"bad-{n}", "bad:", {}, Outcome("skipped", "empty_response")) for n in range(skipped)
    ]
    recipe = {
        "stage": stage,
        "constitution": {
            "id": constitution.id,
            "version": constitution.version,
            "principles": [
                {"id": p.id, "preference": p.preference, "weight": p.weight} for p in constitution.principles
            ],
        },
        "settings": settings.model_dump(mode="json"),
        "engine": {"identity": {"engine": "scripted", "model": "judge-of-tests"}},
    }
    with RunDirectory(out) as run:
        run.ledger.plan(rows)
        run.ledger.apply_plan(recipe)
        for label in labels:
            if isinstance(label, tuple):
                id, tally = label
                votes = [vote.to_row() for vote in tally.votes]
                run.ledger.finish(KIND, id, Outcome("failed", tally.reason, result={"votes": votes}))
            else:
                run.ledger.finish(KIND, label.id, Outcome("ok", result=label.to_row()))
    return out
