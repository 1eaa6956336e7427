from __future__ import annotations

import io
import os

from gateway.ops.log.sink import Sink


def test_sink_in_memory_takes_everything() -> None:
    stream = io.StringIO()
    sink = Sink(stream)
    assert sink.is_writable(0)
    assert sink.write(b"line\n")
    assert stream.getvalue() == "line\n"


def test_sink_says_when_nobody_reads_and_when_its_reader_is_gone() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        sink = Sink(stream)
        while sink.is_writable(0):
            assert sink.write(b"x" * 4096)
        os.close(reading)
        assert sink.is_writable(0)
        assert not sink.write(b"x")
