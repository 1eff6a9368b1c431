import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from constitutional.engines.batching import Batcher, in_halves
from constitutional.errors import EngineDied, RequestRefused


@dataclass(eq=False)
class Request:
    number: int
    wanted: bool = True


class Doubling:
    """Answers with twice the number, and keeps the sizes of its batches. Can be held up."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, requests):
        self.batches.append([request.number for request in requests])
        self.go.wait(10)
        return [2 * request.number for request in requests]


@contextlib.asynccontextmanager
async def batching(run, slots=4, joins=lambda batch, request: True):
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(run, joins, slots, executor)
        yield batcher
        await batcher.close()


def test_requests_that_wait_together_run_together_up_to_the_slots():
    async def main():
        run = Doubling()
        async with batching(run) as batcher:
            answers = await asyncio.gather(*(batcher.submit(Request(n)) for n in range(6)))
        assert answers == [0, 2, 4, 6, 8, 10]
        assert run.batches == [[0, 1, 2, 3], [4, 5]]

    asyncio.run(main())


def test_what_may_not_join_a_batch_waits_for_the_next_one():
    async def main():
        run = Doubling()
        even = lambda batch, request: request.number % 2 == batch[0].number % 2  # noqa: E731
        async with batching(run, joins=even) as batcher:
            await asyncio.gather(*(batcher.submit(Request(n)) for n in range(5)))
        assert run.batches == [[0, 2, 4], [1, 3]]

    asyncio.run(main())


def test_a_cancelled_caller_leaves_the_others_of_its_batch_alone():
    async def main():
        run = Doubling()
        run.go.clear()
        async with batching(run, slots=3) as batcher:
            requests = [Request(n) for n in range(5)]
            tasks = [asyncio.create_task(batcher.submit(request)) for request in requests]
            while not run.batches:
                await asyncio.sleep(0.001)
            tasks[1].cancel()
            tasks[3].cancel()
            await asyncio.gather(tasks[1], tasks[3], return_exceptions=True)
            assert [request.wanted for request in requests] == [True, False, True, False, True]
            run.go.set()
            assert [await tasks[n] for n in (0, 2, 4)] == [0, 4, 8]
        assert run.batches == [[0, 1, 2], [4]]

    asyncio.run(main())


def test_closing_fails_whoever_waits():
    async def main():
        run = Doubling()
        run.go.clear()
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(run, lambda batch, request: True, 1, executor)
            requests = [Request(n) for n in range(2)]
            tasks = [asyncio.create_task(batcher.submit(request)) for request in requests]
            while not run.batches:
                await asyncio.sleep(0.001)
            await batcher.close()
            await batcher.close()
            run.go.set()
            for task in tasks:
                with pytest.raises(EngineDied, match="closed"):
                    await task
            assert not any(request.wanted for request in requests)

    asyncio.run(main())


def test_a_batcher_serves_one_event_loop_after_another():
    run = Doubling()
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(run, lambda batch, request: True, 4, executor)
        assert asyncio.run(batcher.submit(Request(1))) == 2
        assert asyncio.run(batcher.submit(Request(2))) == 4


def test_a_request_that_fails_by_itself_fails_alone():
    def run(requests):
        if any(request.number == 3 for request in requests):
            raise RuntimeError("odd one out")
        return [request.number for request in requests]

    async def main():
        async with batching(run, slots=8) as batcher:
            answers = await asyncio.gather(
                *(batcher.submit(Request(n)) for n in range(6)), return_exceptions=True
            )
        assert [answers[n] for n in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
        assert isinstance(answers[3], RequestRefused)
        assert "odd one out" in str(answers[3])

    asyncio.run(main())


def test_a_batch_too_large_for_the_memory_shrinks_until_it_fits():
    import torch

    sizes = []

    def run(requests):
        sizes.append(len(requests))
        if len(requests) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [request.number for request in requests]

    assert in_halves(run, [Request(n) for n in range(7)]) == list(range(7))
    assert sizes == [7, 3, 1, 2, 4, 2, 2]


def test_a_request_too_large_for_the_memory_is_refused():
    def run(requests):
        raise MemoryError

    [refused] = in_halves(run, [Request(0)])
    assert isinstance(refused, RequestRefused)


def test_a_broken_device_is_the_death_of_the_engine():
    def run(requests):
        raise RuntimeError("CUDA error: device-side assert triggered\nmore")

    async def main():
        async with batching(run) as batcher:
            answers = await asyncio.gather(
                *(batcher.submit(Request(n)) for n in range(3)), return_exceptions=True
            )
        assert all(isinstance(answer, EngineDied) for answer in answers)

    asyncio.run(main())


def test_a_mistake_in_the_code_is_not_hidden():
    def run(requests):
        raise TypeError("mistake")

    async def main():
        async with batching(run) as batcher:
            with pytest.raises(TypeError, match="mistake"):
                await batcher.submit(Request(0))

    asyncio.run(main())
