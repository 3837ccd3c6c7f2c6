"""The lab report's 34 questions, answered: the text is data, every number in it is worked out."""

from stepladder.answers.book import (
    Demonstration,
    Evidence,
    Excerpt,
    Question,
    all_questions,
    find_questions,
    questions_on,
    see_answers,
)
from stepladder.answers.markdown import to_markdown

__all__ = [
    "Demonstration",
    "Evidence",
    "Excerpt",
    "Question",
    "all_questions",
    "find_questions",
    "questions_on",
    "see_answers",
    "to_markdown",
]
