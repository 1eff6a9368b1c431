"""Runs made on the spot: a ledger with chains that say what a test wants them to say."""

from constitutional.constitution import Constitution, Principle
from constitutional.engines.base import EngineFacts
from constitutional.jobs.sl_cai_data import DataSettings
from constitutional.jobs.sl_cai_recipe import Recipe
from constitutional.ledger import PlannedRow
from constitutional.records import Chain, Message, Outcome, Round, Step
from constitutional.rundir import RunDirectory
from constitutional.stages.revise import ReviseSettings

RESPONSE = "one two three four five six seven eight nine ten"


def step(text, finish_reason="stop"):
    return None if text is None else Step(text, finish_reason, 10, 10)


def round_of(principles, revision=RESPONSE, critique="It is bad.", checks=(), *, cut=False):
    """A round; `principles` are ids with spaces between, `cut` says that the critique was."""
    said = step(critique, "length" if cut else "stop")
    return Round(tuple(principles.split()), said, step(revision), tuple(checks))


def chain_of(id, *rounds, response=RESPONSE, status="ok"):
    prompt = (Message("user", f"Question {id}?"),)
    return Chain(id, prompt, step(response), rounds, status, None if status == "ok" else "no_good_revision")


def rules(**weights):
    """A constitution of principles by id, `_` standing for `-`, with their weights."""
    principles = [
        Principle(id.replace("_", "-"), critique=f"Criticise {id}.", revision=f"Mend {id}.", weight=weight)
        for id, weight in weights.items()
    ]
    return Constitution("for-tests", principles)


def write_run(out, chains, constitution=None, *, to_do=0, skipped=0, kind="chain", **settings):
    """A run directory with these chains, as many still to do and skipped; what made it is known if a constitution is given."""
    chains = list(chains)
    ids = [chain.id for chain in chains] + [f"to-do-{n}" for n in range(to_do)]
    rows = [PlannedRow(kind, id, id, {"messages": [["user", "Question?"]], "response": None}) for id in ids]
    rows += [
        PlannedRow(kind, f"bad-{n}", "bad:", {}, Outcome("skipped", "empty_prompt")) for n in range(skipped)
    ]
    recipe = constitution and Recipe(
        constitution,
        out / "prompts",
        "hash",
        ReviseSettings(**settings),
        DataSettings(),
        EngineFacts({"engine": "scripted", "model": "model-of-tests"}, None),
    )
    with RunDirectory(out) as run:
        run.ledger.plan(rows)
        run.ledger.apply_plan(recipe and recipe.to_row())
        for chain in chains:
            run.ledger.finish(kind, chain.id, Outcome(chain.status, chain.reason, result=chain.to_row()))
    return out
