"""Failures of answering a question."""

from homespun.errors import HomespunError


class AnswerError(HomespunError):
    """A question that cannot be answered as asked."""


class QuestionTooLongError(AnswerError):
    """The question alone, without any passage, does not fit into the model's window.

    Attributes:
        n_prompt_tokens: what the rules, the question and the template take together.
        n_room_tokens: what the window holds beside the answer.
    """

    def __init__(self, n_question_tokens: int, n_prompt_tokens: int, n_room_tokens: int, window: int) -> None:
        self.n_prompt_tokens = n_prompt_tokens
        self.n_room_tokens = n_room_tokens
        super().__init__(
            f"The question has {n_question_tokens} tokens, {n_prompt_tokens} with the rules around it, but "
            f"this model's window of {window} tokens has room for {n_room_tokens} beside the answer",
            remedy="Shorten the question, lower max_new_tokens, or use a model with a larger window.",
        )


class ExportError(AnswerError):
    """An answer, or a picture of a cited page, that cannot be written where it should go."""
