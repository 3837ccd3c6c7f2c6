"""A page is told what changed, once, however slowly it listens."""

from __future__ import annotations

import asyncio
import json
import threading

from stepladder.web.studies.board import Board


def test_only_what_changed_is_told() -> None:
    board = Board()
    assert board.put({"a": 1, "b": [1]}) == 2
    version, all_there_is = board.changes_since(-1)
    assert all_there_is == {"a": 1, "b": [1]}
    assert board.put({"a": 1, "b": [1]}) == 0
    assert board.changes_since(version) == (version, {})
    assert board.put({"a": 2}) == 1
    assert board.changes_since(version)[1] == {"a": 2}


def test_a_key_that_is_gone_is_told_to_who_knew_it_and_to_nobody_else() -> None:
    board = Board()
    board.put({"a": 1, "b": 2})
    version, _ = board.changes_since(-1)
    board.put({"a": 1}, whole=True)
    assert board.changes_since(version)[1] == {"b": None}
    assert board.changes_since(-1)[1] == {"a": 1}
    board.put({"b": 3})
    assert board.changes_since(version)[1] == {"b": 3}


def test_a_slow_page_gets_the_newest_of_everything_once() -> None:
    board = Board()
    board.put({"a": 0, "b": 0})
    version, _ = board.changes_since(-1)
    for number in range(1, 1000):
        board.put({"a": number})
    assert board.changes_since(version)[1] == {"a": 999}


def test_pages_that_ask_for_the_same_share_one_text() -> None:
    board = Board()
    board.put({"name": "</script>\x1b\u202e"})
    version, text = board.text_since(-1)
    assert board.text_since(-1)[1] is text
    assert json.loads(text) == {"version": version, "changed": {"name": "</script>\x1b\u202e"}}
    assert not set("\n\r\x1b\u202e") & set(text)  # one line of an event, and nothing that turns a terminal about
    assert board.text_since(version) == (version, "")


def test_who_waits_is_woken_by_a_writer_in_another_thread() -> None:
    board = Board()

    async def listen() -> list[int]:
        heard, version = [], 0
        while len(heard) < 3:
            await board.wait(version, 10.0)
            version, changed = board.changes_since(version)
            heard += [changed["a"]]
        return heard

    async def main() -> list[list[int]]:
        listeners = [asyncio.create_task(listen()) for _ in range(50)]
        for number in range(3):
            await asyncio.sleep(0.01)
            await asyncio.to_thread(board.put, {"a": number})
        return await asyncio.wait_for(asyncio.gather(*listeners), 10.0)

    assert asyncio.run(main()) == [[0, 1, 2]] * 50


def test_who_waits_for_nothing_is_let_go() -> None:
    asyncio.run(asyncio.wait_for(Board().wait(0, 0.01), 5.0))


def test_writers_and_readers_in_many_threads_lose_nothing() -> None:
    board, seen = Board(), {}

    def write(name: str) -> None:
        for number in range(200):
            board.put({name: number})

    threads = [threading.Thread(target=write, args=(f"{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    version = -1
    while any(thread.is_alive() for thread in threads):
        version, changed = board.changes_since(version)
        seen |= changed
    seen |= board.changes_since(version)[1]
    assert seen == {f"{i}": 199 for i in range(4)}


def test_a_writer_does_not_fail_when_the_loop_has_gone() -> None:
    board = Board()
    asyncio.run(board.wait(0, 0.001))
    assert board.put({"a": 1}) == 1
