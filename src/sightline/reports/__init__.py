"""One page about everything: scores, plans, questions, replies, curves; and a scene in 3-D."""

from sightline.reports.inputs import ReportInputs, SkipCount, StepTime, TrainingRun

__all__ = ["ReportInputs", "SkipCount", "StepTime", "TrainingRun"]
