"""The text of a Slurm array script: every element does one shard, a last job that waits for them verifies and merges."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import ConfigError

MAX_SHARDS = 1001  # Slurm's MaxArraySize where nobody raised it
ELEMENT = "@element@"  # stands for the index of the array element in a command
CPUS = "@cpus@"  # stands for the cores that Slurm gave the element


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayScript:
    """What stands in a script. `element` and `merge` are commands as words; `ELEMENT` and `CPUS` in them are filled in by Slurm."""

    name: str
    folder: Path  # where the commands run
    log_folder: Path
    element: Sequence[str]
    merge: Sequence[str]  # empty: whoever submitted the script merges
    shards: int
    cpus: int
    partition: str | None = None
    time_limit: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= MAX_SHARDS:
            raise ConfigError(f"--shards: expected 1 to {MAX_SHARDS} (what Slurm takes as one array), found {self.shards}")
        if self.cpus < 1:
            raise ConfigError(f"--cpus: expected at least 1, found {self.cpus}")
        for what, value in (("--name", self.name), ("--partition", self.partition), ("--time", self.time_limit)):
            if value is not None and (not value or any(letter.isspace() for letter in value)):
                raise ConfigError(f"{what}: expected a word without blanks, found {value!r}")
        for what, path in (("folder", self.folder), ("log folder", self.log_folder)):
            if "\n" in str(path) or "%" in str(path):
                raise ConfigError(f"{what} {str(path)!r}: expected no line end and no '%', which Slurm would replace")

    @property
    def text(self) -> str:
        """The whole script: bash, safe to submit again, since finished scans are skipped by their markers."""
        options = {
            "job-name": self.name,
            "array": f"0-{self.shards - 1}",
            "ntasks": "1",
            "cpus-per-task": str(self.cpus),
            "partition": self.partition,
            "time": self.time_limit,
            "chdir": shlex.quote(str(self.folder)),
            "output": shlex.quote(f"{self.log_folder}/%A_%a.log"),
            "open-mode": "append",
        }
        head = [f"#SBATCH --{name}={value}" for name, value in options.items() if value is not None] + ["#SBATCH --requeue"]
        return "\n".join(["#!/bin/bash", *head, *(self._with_merge() if self.merge else self._elements_only())]) + "\n"

    def _elements_only(self) -> list[str]:
        return ["set -euo pipefail", f"exec {_command(self.element)}"]

    def _with_merge(self) -> list[str]:
        return [
            f"# {self.name}: {self.shards} shards, then a merge that verifies the marker of every scan.",
            "#   bash THIS_FILE submit    the array, and the merge that starts when the last element has ended",
            "#   bash THIS_FILE merge     the merge alone, here and now",
            "# Safe to submit again: what is finished is skipped, what is missing is done.",
            "set -euo pipefail",
            'case "${1:-element}" in',
            "  submit)",
            f"    mkdir -p {shlex.quote(str(self.log_folder))}",
            '    array=$(sbatch --parsable "$0" element)',
            "    array=${array%%;*}",
            '    merge=$(sbatch --parsable --array=0 --dependency="afterany:$array" "$0" merge)',
            '    echo "array $array, merge ${merge%%;*}"',
            "    ;;",
            "  element)",
            f"    exec {_command(self.element)}",
            "    ;;",
            "  merge)",
            f"    cd {shlex.quote(str(self.folder))}",
            f"    exec {_command(self.merge)}",
            "    ;;",
            "  *)",
            '    echo "usage: bash $0 submit|merge" >&2',
            "    exit 2",
            "    ;;",
            "esac",
        ]


def _command(words: Sequence[str]) -> str:
    """Words as bash reads them back, quotes and dollar signs included."""
    filled = {ELEMENT: '"$SLURM_ARRAY_TASK_ID"', CPUS: '"$SLURM_CPUS_PER_TASK"'}
    quoted = []
    for word in words:
        text = shlex.quote(word)
        for mark, variable in filled.items():
            if mark in word:
                before, _, after = word.partition(mark)
                text = (shlex.quote(before) if before else "") + variable + (shlex.quote(after) if after else "")
        quoted.append(text)
    return " ".join(quoted)
