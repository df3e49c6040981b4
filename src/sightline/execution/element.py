"""One shard of a job in a process of its own: `python -m sightline.execution.element RECORD_DIR I/N WORKERS`."""

import logging
import sys
from pathlib import Path

from sightline.errors import DataError, SightlineError
from sightline.execution.execution import Job, Shard, shard_named
from sightline.execution.local import LocalExecutor
from sightline.execution.records import require_all
from sightline.execution.worker import function_at, function_path
from sightline.files import read_json, write_json


def job_path(record_dir: Path) -> Path:
    return record_dir / "job.json"


def write_job(job: Job) -> None:
    """Write a job so that a process elsewhere can read it. Its arguments must be JSON-able."""
    write_json(
        job_path(job.record_dir),
        {
            "name": job.name,
            "function": function_path(job.function),
            "keys": list(job.keys),
            "made_from": job.made_from,
            "made_from_each": {key: job.made_from_each[key] for key in job.keys if key in job.made_from_each},
            "arguments": dict(job.arguments),
            "outputs": {key: str(job.outputs[key].absolute()) for key in job.keys if key in job.outputs},
            "max_tries": job.max_tries,
        },
    )


def read_job(record_dir: Path) -> Job:
    """The inverse of `write_job`. Raises DataError."""
    value = read_json(job_path(record_dir))
    try:
        return Job(
            name=value["name"],
            function=function_at(value["function"]),
            keys=value["keys"],
            record_dir=record_dir,
            made_from=value["made_from"],
            made_from_each=value["made_from_each"],
            arguments=value["arguments"],
            outputs={key: Path(path) for key, path in value["outputs"].items()},
            max_tries=value["max_tries"],
        )
    except (KeyError, TypeError, AttributeError, ImportError) as error:
        raise DataError(f"{job_path(record_dir)}: expected a job as this version writes it, found {error!r}") from error


def run_element(record_dir: Path, shard: Shard, *, workers: int) -> None:
    """Do one shard here. Raises ExecutionError when keys failed, after the others are done."""
    job = shard.part_of(read_job(record_dir))
    require_all(LocalExecutor(workers).run(job), job)


def main(arguments: list[str]) -> int:
    """Exit code 2 and one line for failed keys, so that Slurm shows the element as failed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    record_dir, shard, workers = arguments
    try:
        run_element(Path(record_dir), shard_named(shard), workers=int(workers))
    except SightlineError as error:
        sys.stderr.write(f"sightline: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
