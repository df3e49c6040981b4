"""Spatial questions, each answer provable from facts."""

from sightline.questions.question import TASKS, Mark, Question, QuestionTask, Skip, TaskOptions

__all__ = ["TASKS", "Mark", "Question", "QuestionTask", "Skip", "TaskOptions"]
