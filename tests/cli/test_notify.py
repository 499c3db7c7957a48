"""``run --notify-file`` appends a line for each job, and one at the end."""

from __future__ import annotations

import json

import pytest

from genebench.cli.notify import notifications


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_job_and_the_end_are_told(genebench, tmp_path, tiny):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "earlier"}\n')
    command = (
        "run", "--methods", "lsr", "--protocol", "geo", "--preset", "tiny", "--quiet",
        "--results", tmp_path / "results", "--notify-file", path,
    )  # fmt: skip
    assert genebench(*command).status == 0
    earlier, *jobs, end = lines(path)
    assert earlier == {"event": "earlier"}
    assert {job["event"] for job in jobs} == {"job"}
    assert {job["method"] for job in jobs} == {"lsr", "train-mean", "copy-twin"}
    for job in jobs:
        [record] = job["records"]
        assert (record["protocol"], record["status"], record["message"]) == ("geo", "done", "")
        assert (tmp_path / "results" / f"{record['key']}.json").exists()
    assert (end["event"], end["outcome"], end["jobs"], end["done"]) == ("end", "finished", 3, 3)
    # Nothing is left to do, which is an end, too.
    assert genebench(*command).status == 0
    assert [line["event"] for line in lines(path)[-2:]] == ["end", "end"]


def test_a_run_that_stops_says_so(tmp_path):
    path = tmp_path / "events.jsonl"
    for error, outcome in ((KeyboardInterrupt, "interrupted"), (ValueError, "error")):
        with pytest.raises(error), notifications(path, tmp_path):
            raise error
        assert lines(path)[-1]["outcome"] == outcome


def test_a_file_that_cannot_be_written_is_refused_before_any_work(genebench, tmp_path, tiny):
    refused = genebench(
        "run", "--methods", "lsr", "--preset", "tiny", "--results", tmp_path / "results",
        "--notify-file", tmp_path / "none" / "file",
    )  # fmt: skip
    assert refused.status == 2
    assert "Name another --notify-file." in refused.err
    assert not list((tmp_path / "results").glob("*.json"))
