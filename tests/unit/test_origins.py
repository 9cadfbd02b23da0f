"""Every log begins with where its job's results come from, and the report reads it there."""

import json
import logging
import sys

import pytest

from darkknowledge.origins import origins
from darkknowledge.progress import logger, start_logging
from darkknowledge.provenance import COMMAND, PACKAGES, job_provenance, provenance


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(COMMAND, "snakemake --cores 2")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    start_logging(tmp_path / "logs" / "job.log")
    logger.info("half of it")
    return tmp_path / "logs" / "job.log"


def test_a_log_begins_with_its_origin(log):
    first, second = log.read_text().splitlines()
    record = json.loads(first)
    assert second.endswith("half of it")
    assert job_provenance(log) == record
    assert record["command"] == "snakemake --cores 2"
    assert set(record["versions"]) == set(PACKAGES)
    assert {"date", "git", "host", "python", "platform"} < set(record)


def test_a_repository_is_described_and_its_absence_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv(COMMAND, raising=False)
    record = provenance()
    assert (record["git"], record["command"]) == ("no repository", "not recorded")


def test_each_surrounding_is_told_once(tmp_path):
    def write(name, **record):
        (tmp_path / name).write_text(json.dumps(record) + "\n12:00:00 text\n")

    here = {"command": "snakemake", "host": "a"}
    write("t1.log", date="1 May", git="abc", **here)
    write("t2.log", date="2 May", git="def-dirty", **here)
    write("d1.log", date="3 May", git="abc", **{**here, "host": "b"})
    (tmp_path / "old.log").write_text("12:00:00 without a record\n")
    systems = [
        {"model": "net", "seed": 1, "jobs": {"trained": "t1.log", "decoded": "d1.log"}},
        {"model": "net", "seed": 2, "jobs": {"trained": "t2.log", "decoded": "old.log"}},
        {"model": "mono", "seed": None, "jobs": {"decoded": "absent.log"}},
    ]
    table, surroundings = origins(systems, tmp_path)
    assert surroundings == [here, {**here, "host": "b"}]
    first, second, third = table.to_dict("records")
    assert (first["Trained"], first["Decoded"]) == ("1 May, abc", "3 May, abc")
    assert (first["Seed"], first["Where"]) == ("1", "1, 2")
    assert (second["Trained"], second["Where"]) == ("2 May, def-dirty", "1")
    assert second["Decoded"] == third["Decoded"] == "not recorded"
    assert (third["Seed"], third["Where"], third["Trained"]) == ("–", "", "–")
