"""Which request goes next, and that no slot is ever lost or granted twice, whatever is stopped or cancelled."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutional.scheduler import Scheduler


class Chains:
    """Chains of some steps each that wait for a slot, hold it until they are told to go on, and say what they do."""

    def __init__(self, slots, steps, *, most=None, alone=()):
        self.events, self.holding, self.tasks = [], {}, []
        self.lengths, self.most, self.alone = list(steps), most or max(steps, default=1), set(alone)
        self.scheduler = Scheduler(slots, len(self.lengths), self.most, self.start)

    def start(self):
        number = len(self.tasks)
        self.tasks.append(asyncio.get_running_loop().create_task(self.run(number)))

    async def run(self, number):
        if not self.lengths[number]:
            self.scheduler.skip()
            return
        for step in range(self.lengths[number]):
            alone = number in self.alone
            await self.scheduler.acquire(step, self.most - step, first=step == 0, alone=alone)
            try:
                self.events.append((number, step))
                if alone:
                    assert not self.holding
                answered = self.holding[number] = asyncio.Event()
                assert len(self.holding) <= self.scheduler.slots
                await answered.wait()
            finally:
                self.holding.pop(number, None)
                self.scheduler.release(alone=alone)

    async def settle(self):
        """Let everything happen that can happen before the next answer."""
        for _ in range(40):
            await asyncio.sleep(0)
        assert self.scheduler.in_flight == len(self.holding)

    async def answer(self, number):
        self.holding[number].set()
        await self.settle()

    async def finish(self):
        """Answer whatever is in flight, the oldest first, until nothing is."""
        while self.holding:
            await self.answer(next(iter(self.holding)))
        return self.events


def played(chains, *numbers):
    """The events after answering these chains in turn."""

    async def play():
        chains.scheduler.begin()
        await chains.settle()
        for number in numbers:
            await chains.answer(number)
        for task in chains.tasks:
            task.cancel()
        return chains.events

    return asyncio.run(play())


def finished(chains):
    async def play():
        chains.scheduler.begin()
        await chains.settle()
        await chains.finish()
        assert all(task.done() for task in chains.tasks)
        return chains.events

    return asyncio.run(play())


def test_a_chain_goes_on_before_another_is_started_while_many_are_unstarted():
    events = played(Chains(1, [3] * 10), 0, 0, 0, 1)
    assert events == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


def test_only_as_many_chains_are_open_as_there_are_slots_while_many_are_unstarted():
    chains = Chains(4, [3] * 100)
    events = played(chains, 0, 1, 2, 3, 0, 1, 2, 3)
    assert {number for number, _ in events} == {0, 1, 2, 3}
    assert len(chains.tasks) == 4


def test_in_the_tail_the_chain_with_most_steps_left_goes_first_starting_included():
    # two slots and four chains: all of it is tail, so all start before any goes on, but for the one that leads
    events = played(Chains(2, [3] * 4), 0, 1, 2, 3, 0, 1)
    assert events[:3] == [(0, 0), (1, 0), (0, 1)]
    others = [(number, step) for number, step in events if number != 0]
    assert others == [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1)]


def test_one_chain_leads_until_it_has_ended_and_then_none_does():
    events = finished(Chains(2, [4] * 6))
    leader = [place for place, (number, _) in enumerate(events) if number == 0]
    assert leader[-1] < 8  # four steps of the leader beside four of the others
    after = [step for number, step in events[leader[-1] + 2 :] if number != 0]
    assert after == sorted(after)


def test_the_tail_begins_when_twice_as_many_are_unstarted_as_there_are_slots():
    chains = Chains(2, [2] * 9)
    events = finished(chains)
    # five go depth first; with four unstarted the tail begins, and they start before any second step
    assert chains.scheduler.tail
    starts = [place for place, (_, step) in enumerate(events) if step == 0]
    assert [number for number, step in events if step == 0] == list(range(9))
    assert len(set(events)) == 18
    assert events[starts[-1] + 1 :] and all(step == 1 for _, step in events[starts[-1] + 1 :])
    assert starts[-1] - starts[-4] == 3


def test_slots_are_kept_full_as_long_as_there_is_work():
    chains = Chains(4, [3] * 20)

    async def play():
        chains.scheduler.begin()
        await chains.settle()
        left = 60
        while chains.holding:
            assert len(chains.holding) == min(4, left) or left < 3 * 4
            await chains.answer(next(iter(chains.holding)))
            left -= 1
        assert left == 0

    asyncio.run(play())


def test_a_chain_that_needs_no_request_gives_its_slot_back():
    events = finished(Chains(1, [0, 2, 0, 0, 1], most=2))
    assert sorted(events) == [(1, 0), (1, 1), (4, 0)]


def test_a_request_alone_waits_until_nothing_is_in_flight_and_keeps_the_others_out():
    chains = Chains(3, [2, 2, 2, 2], alone=[1])
    events = finished(chains)  # `run` asserts that nothing else is held
    assert sorted(events) == [(number, step) for number in range(4) for step in range(2)]


def test_two_requests_alone_do_not_meet():
    assert len(finished(Chains(4, [2] * 6, alone=[0, 1, 2]))) == 12


def test_a_stop_grants_nothing_more_and_lets_what_is_in_flight_end():
    chains = Chains(2, [3] * 10)

    async def play():
        chains.scheduler.begin()
        await chains.settle()
        chains.scheduler.stop()
        before = list(chains.events)
        await chains.finish()
        await asyncio.gather(*chains.tasks, return_exceptions=True)
        assert chains.events == before == [(0, 0), (1, 0)]
        assert all(task.cancelled() for task in chains.tasks)
        assert chains.scheduler.in_flight == 0

    asyncio.run(play())


def test_a_request_after_the_stop_is_cancelled():
    async def play():
        scheduler = Scheduler(1, 0, 1, lambda: None)
        scheduler.stop()
        with pytest.raises(asyncio.CancelledError):
            await scheduler.acquire(1, 1, first=False)

    asyncio.run(play())


def test_a_request_cancelled_in_the_turn_it_was_granted_gives_its_slot_back():
    async def play():
        scheduler = Scheduler(1, 0, 3, lambda: None)
        waiting = asyncio.create_task(scheduler.acquire(1, 2, first=False))
        while not scheduler.in_flight:
            await asyncio.sleep(0)
        waiting.cancel()  # the slot is its own, but it has not been told yet
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled() and scheduler.in_flight == 0
        await asyncio.wait_for(scheduler.acquire(1, 2, first=False), 5)

    asyncio.run(play())


@settings(max_examples=150)
@given(
    slots=st.integers(1, 5),
    steps=st.lists(st.integers(0, 4), min_size=1, max_size=16),
    alone=st.sets(st.integers(0, 15), max_size=3),
    moves=st.lists(
        st.tuples(st.sampled_from(["answer", "answer", "answer", "cancel"]), st.integers(0, 99)), max_size=60
    ),
)
def test_whatever_is_answered_or_cancelled_slots_are_never_exceeded_nor_lost(slots, steps, alone, moves):
    chains = Chains(slots, steps, most=4, alone=alone)  # `run` and `settle` assert the limits at every step

    async def play():
        chains.scheduler.begin()
        await chains.settle()
        for move, number in moves:
            if move == "answer" and chains.holding:
                await chains.answer(sorted(chains.holding)[number % len(chains.holding)])
            elif move == "cancel" and chains.tasks:
                task = chains.tasks[number % len(chains.tasks)]
                task.cancel()
                if number % 2:
                    await chains.settle()
        await chains.settle()
        await chains.finish()
        assert len(chains.tasks) == len(steps), "not every chain was started"
        await asyncio.wait_for(asyncio.gather(*chains.tasks, return_exceptions=True), 10)
        assert chains.scheduler.in_flight == 0
        whole = [n for n, task in enumerate(chains.tasks) if not task.cancelled()]
        assert all((n, step) in chains.events for n in whole for step in range(steps[n]))
        assert len(chains.events) == len(set(chains.events))

    asyncio.run(play())
