"""Print the words of audio files: ``python -m darkknowledge.transcribe RUN AUDIO...``."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from darkknowledge.deploy.folder import DESCRIPTION, ExportedRun
from darkknowledge.deploy.transcription import Transcriber, as_ctm, as_json, as_srt, as_text
from darkknowledge.errors import DataError
from darkknowledge.progress import logger

RUN = re.compile(r"(?P<results>.*results/[^/]+)/networks/(?P<run>[^/]+/seed[0-9]+)/?")


def exported_folder(path: str | Path) -> Path:
    """Find the exported folder of a run, given it or the folder of the trained network.

    Raises
    ------
    DataError
        If there is none; the message has the command that makes it.
    """
    path = Path(path)
    trained = RUN.fullmatch(str(path.resolve())) or RUN.fullmatch(str(path))
    if trained:
        path = Path(trained["results"]) / "export" / trained["run"]
    if (path / DESCRIPTION).is_file():
        return path
    wanted = path / DESCRIPTION
    place = str(wanted)[str(wanted).find("results/") :] if trained else "results/.../export/..."
    raise DataError(
        f"{wanted}: no exported run; make it: snakemake --cores 2 {place} (before --cores the "
        "--configfile of its study, if it has one)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Recognise the files that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m darkknowledge.transcribe",
        description="Print the words of audio files of any rate and length.",
    )
    parser.add_argument("run", help="exported folder, or results/STUDY/networks/RUN/seedN")
    parser.add_argument("audio", nargs="+", help="audio files: wav, flac, ogg, mp3")
    parser.add_argument("--format", choices=("text", "ctm", "srt", "json"), default="text")
    parser.add_argument("--confidence", action="store_true", help="a probability for each word")
    parser.add_argument("--int8", action="store_true", help="the network in one byte per weight")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logger.setLevel("ERROR")
    found, failed = [], 0
    try:
        run = ExportedRun(exported_folder(given.run), "int8" if given.int8 else "float32")
        transcriber = Transcriber(run, given.confidence)
        for path in given.audio:
            try:
                found.append((path, transcriber.file(path)))
            except DataError as error:
                print(error, file=sys.stderr)
                failed += 1
        if given.format == "json":
            print(json.dumps(as_json(found), indent=1, ensure_ascii=False))
        else:
            write = {"text": as_text, "ctm": as_ctm, "srt": as_srt}[given.format]
            print(write(found), end="")
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
