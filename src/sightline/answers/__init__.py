"""Answers: asked, decoded, parsed and scored in one place."""

from sightline.answers.answer import ANSWER_FORMATS, Answer, AnswerFormat, Score, format_from_row

__all__ = ["ANSWER_FORMATS", "Answer", "AnswerFormat", "Score", "format_from_row"]
