"""Answers that are worked out once and remembered, within bounds that no client can move."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")

#: Answers of one memo. When there are more, all are forgotten: whoever asks a great many different questions makes the
#: next ones as slow as the first, and no slower.
MAXIMUM_ANSWERS = 4096
#: Characters of a question that is remembered; longer ones are answered anew each time.
MAXIMUM_QUESTION = 512


class Memo(Generic[Question, Answer]):
    """Questions with their answers.

    Args:
        maximum: how many.
    """

    __slots__ = ("_answers", "_maximum", "recall")

    def __init__(self, maximum: int = MAXIMUM_ANSWERS) -> None:
        self._maximum = maximum
        self._answers: dict[Question, Answer] = {}
        #: The answer to a question, or None when it is not remembered.
        self.recall = self._answers.get

    def keep(self, question: Question, answer: Answer, size: int) -> Answer:
        """Remember an answer, and return it.

        Args:
            question: the question.
            answer: its answer.
            size: how many characters the question has.
        """
        if size <= MAXIMUM_QUESTION:
            if len(self._answers) >= self._maximum:
                self._answers.clear()
            self._answers[question] = answer
        return answer
