"""One request for more prompts: which seeds it shows, and what it sends."""

import asyncio
from collections import Counter

import pytest

from constitutional import Generation, load_prompt_set
from constitutional.assignment import request_seed
from constitutional.errors import RequestTooLong, TemplateError
from constitutional.stages.redteam import RedteamRequest, RedteamSettings, Seed, SeedDraw, Writer, redteam
from tests.helpers import PROMPT_SET, CountingEngine

PROMPTS = load_prompt_set(PROMPT_SET)
SEEDS = [Seed(f"s{number}", f"Seed number {number}, please.") for number in range(40)]
REQUEST = RedteamRequest("request-7", tuple(SEEDS[:2]), "neighbours")


def draws(seeds=SEEDS, topics=(), count=200, **settings):
    draw = SeedDraw(seeds, topics, RedteamSettings(**settings))
    return [draw.request(number) for number in range(count)]


def written(engine, request=REQUEST, **settings):
    return asyncio.run(redteam(request, engine, PROMPTS, RedteamSettings(**settings)))


def test_a_request_shows_different_seeds_in_an_order_of_its_own():
    found = draws(seeds_per_request=5)
    assert [request.id for request in found[:2]] == ["request-1", "request-2"]
    assert all(len(set(request.seeds)) == 5 for request in found)
    assert len({request.seeds for request in found}) == len(found)
    assert draws(seeds_per_request=5) == found != draws(seeds_per_request=5, seed=1)


def test_every_seed_is_shown_about_as_often():
    shown = Counter(seed.id for request in draws(count=2000, seeds_per_request=4) for seed in request.seeds)
    # 200 expected of each, with a standard deviation of 13.4
    assert len(shown) == 40 and min(shown.values()) > 140 and max(shown.values()) < 260


def test_a_seed_more_or_less_moves_only_the_requests_that_draw_it():
    before, after = draws(SEEDS[:39], seeds_per_request=3), draws(seeds_per_request=3)
    for old, new in zip(before, after, strict=True):
        assert (old.seeds == new.seeds) != (SEEDS[39] in new.seeds)
        assert [s for s in new.seeds if s != SEEDS[39]] == list(old.seeds[: 3 - (SEEDS[39] in new.seeds)])
    assert draws(list(reversed(SEEDS)), seeds_per_request=3) == after


def test_few_seeds_are_all_shown_and_topics_are_drawn_apart():
    found = draws(SEEDS[:2], ["money", "neighbours", "school"], seeds_per_request=5)
    assert all({seed.id for seed in request.seeds} == {"s0", "s1"} for request in found)
    assert set(Counter(request.topic for request in found)) == {"money", "neighbours", "school"}
    assert draws(SEEDS[:2], seeds_per_request=5)[0].topic is None


def test_the_request_is_the_templates_and_the_list_goes_on_from_its_last_turn():
    engine = CountingEngine(lambda messages, sampling: " First one?\n4. Second one?")
    found = written(engine, prompts_per_request=7, seed=3, temperature=0.9)
    ((messages, sampling),) = engine.requests
    assert messages[0].content == "Write 9 messages about neighbours."
    assert messages[1].content == "1. Seed number 0, please.\n2. Seed number 1, please.\n3."
    assert sampling.seed == request_seed(3, "redteam", "request-7", "write") and sampling.temperature == 0.9
    assert [item.text for item in found.items] == ["First one?", "Second one?"]


def test_an_answer_that_is_cut_off_says_so():
    found = written(CountingEngine(lambda messages, sampling: Generation("One?\n4. Tw", "length")))
    assert found.finish_reason == "length" and [item.cut for item in found.items] == [False, True]


def test_a_key_changes_with_what_the_request_shows_and_not_with_how_many_could_be_shown():
    def key(request=REQUEST, **settings):
        return Writer(PROMPTS, RedteamSettings(**settings)).key(request)

    assert key(seeds_per_request=9) == key()
    others = [
        key(RedteamRequest("request-8", REQUEST.seeds, REQUEST.topic)),
        key(RedteamRequest("request-7", REQUEST.seeds, None)),
        key(RedteamRequest("request-7", REQUEST.seeds[::-1], REQUEST.topic)),
        key(RedteamRequest("request-7", (Seed("s0", "Reworded."), SEEDS[1]), REQUEST.topic)),
        key(temperature=0.5),
        key(prompts_per_request=3),
        key(seed=1),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_seeds_that_do_not_fit_are_too_long():
    with pytest.raises(RequestTooLong):
        written(CountingEngine(context_length=30))


def test_a_prompt_set_without_the_template_says_so(tmp_path):
    (tmp_path / "set.yaml").write_text("id: bare\n", encoding="utf-8")
    (tmp_path / "respond.jinja").write_text(
        '{% turn "user" %}{{ prompt[0].content }}{% endturn %}', encoding="utf-8"
    )
    with pytest.raises(TemplateError, match=r"add redteam\.jinja"):
        Writer(load_prompt_set(tmp_path), RedteamSettings())
