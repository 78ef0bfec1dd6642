from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, nullcontext

import pytest
import torch

from danq.gpu import graph as graphs
from danq.gpu.graph import Graph, side_by_side

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def test_each_call_on_a_cpu_runs_the_function():
    x = torch.zeros(1)
    graph = Graph(lambda: x.add_(1), CPU)
    for wanted in (1.0, 2.0, 3.0):
        graph()
        assert x.item() == wanted


def test_functions_run_one_after_another_on_a_cpu():
    order: list[int] = []
    side_by_side(CPU, [lambda n=n: order.append(n) for n in range(3)])
    assert order == [0, 1, 2]


class Stream:
    """Streams wait for each other; what waits for what is written down."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name, self.events = name, events

    def wait_stream(self, other: Stream) -> None:
        self.events.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def events(monkeypatch) -> list[str]:
    """What happens on a device that is not there."""
    happened: list[str] = []

    class Recorded:
        def replay(self) -> None:
            happened.append("replay")

    @contextmanager
    def record(graph, *, stream, capture_error_mode):
        happened.append(f"record on {stream.name} ({capture_error_mode})")
        yield

    main = Stream("main", happened)
    streams = tuple(Stream(name, happened) for name in ("recorder", "first", "second", "copies"))
    monkeypatch.setattr(graphs, "_streams", lambda _: streams)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: main)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda s: happened.append(f"back on {s.name}"))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(torch.cuda, "graph", record)
    return happened


WARM = ["recorder waits for main", "run", "main waits for recorder"]


def test_a_card_runs_then_records_then_replays(events):
    graph = Graph(lambda: events.append("run"), CUDA)
    graph()
    assert events == WARM
    events.clear()
    graph()
    assert events == ["record on recorder (thread_local)", "run", "replay"]
    events.clear()
    graph()
    assert events == ["replay"]


def test_a_graph_within_a_graph_is_recorded_with_it(events, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    graph = Graph(lambda: events.append("run"), CUDA)
    graph()
    graph()
    assert events == ["run", "run"]


def test_what_cannot_be_recorded_is_run(events, monkeypatch, caplog):
    @contextmanager
    def refuse(graph, **_):
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    caplog.set_level(logging.WARNING, "danq")
    graph = Graph(lambda: events.append("run"), CUDA)
    for _ in range(3):
        graph()
    assert events == [*WARM, "back on main", *WARM, *WARM]
    assert caplog.messages == [
        "no CUDA graph could be recorded, so launches take longer: operation not permitted when "
        "stream is capturing"
    ]


def test_exhausted_memory_is_not_hidden(events, monkeypatch):
    @contextmanager
    def refuse(graph, **_):
        raise torch.cuda.OutOfMemoryError("out of memory")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    graph = Graph(lambda: None, CUDA)
    graph()
    with pytest.raises(torch.cuda.OutOfMemoryError):
        graph()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError, torch.cuda.OutOfMemoryError])
def test_the_end_of_a_failed_recording_hides_no_interrupt(events, monkeypatch, kind):
    @contextmanager
    def record(graph, **_):
        try:
            yield
        finally:
            raise RuntimeError("capturing stream has unjoined work")

    monkeypatch.setattr(torch.cuda, "graph", record)
    errors = [kind("first")]

    def function() -> None:
        events.append("run")
        if errors and len(events) > len(WARM):
            raise errors.pop()

    graph = Graph(function, CUDA)
    graph()
    with pytest.raises(kind, match="first"):
        graph()
    assert events == [*WARM, "run", "back on main"]


def test_streams_side_by_side_begin_after_and_end_before_the_current_one(events):
    side_by_side(CUDA, [lambda: events.append("one"), lambda: events.append("other")])
    assert events == [
        *("first waits for main", "one", "second waits for main", "other"),
        *("main waits for first", "main waits for second"),
    ]


@pytest.mark.parametrize("what", ["runs", "records", "runs side by side"])
def test_no_thread_launches_on_shared_streams_while_another_one_records(events, what):
    recording, other = threading.Event(), threading.Event()

    def function() -> None:
        if len(events) > len(WARM):
            recording.set()
            # Time for the other thread to do what it must not.
            assert not other.wait(0.3)
        events.append("run")

    def launch() -> None:
        other.set()
        events.append("launched")

    mine, theirs = Graph(function, CUDA), Graph(launch, CUDA)

    def work() -> None:
        recording.wait(30)
        if what == "runs side by side":
            side_by_side(CUDA, [launch, launch])
        else:
            theirs()

    if what == "records":
        theirs()
        other.clear()
    events.clear()
    mine()
    events[:] = WARM
    thread = threading.Thread(target=work)
    thread.start()
    mine()
    thread.join()
    assert events.index("run", len(WARM)) < events.index("launched")


def test_copies_have_one_stream_of_each_device(events):
    assert graphs.copy_stream(CUDA).name == "copies"
