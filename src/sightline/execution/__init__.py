"""Running a function over keys, on one machine or many."""

from sightline.execution.execution import EXECUTORS, Executor, Job, Outcome

__all__ = ["EXECUTORS", "Executor", "Job", "Outcome"]
