"""Scored replies with intervals, beside what guessing reaches."""

from sightline.evaluation.results import Evaluation, Interval, Result, TaskScore

__all__ = ["Evaluation", "Interval", "Result", "TaskScore"]
