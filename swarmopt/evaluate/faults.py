"""What comes back from a worker, and what is tried again.

| what happens | what follows |
|---|---|
| the problem raises, or returns NaN or inf | the evaluation has failed; not tried again |
| the worker dies: killed, segmentation fault, `os._exit` | tried again, twice at most |
| the time limit passes | the worker is killed; tried again once |
| the problem breaks its contract: a wrong shape | an error in the first batch; later a failure |
"""

from dataclasses import dataclass
from typing import assert_never

from swarmopt.errors import ObjectiveError
from swarmopt.evaluate.evaluator import Finished
from swarmopt.evaluate.pieces import Piece
from swarmopt.evaluation import Evaluation, Outcome

MOST_LOST = 3  # workers that one piece may cost
MOST_TIMEOUTS = 2


@dataclass(frozen=True)
class Breach:
    """The problem breaks its contract; how is in the text."""

    text: str


@dataclass(frozen=True)
class Lost:
    """The worker died over it; how is in the text."""

    text: str


@dataclass(frozen=True)
class TimedOut:
    """The time limit passed."""

    seconds: float


Reply = Evaluation | Breach | Lost | TimedOut


def settle(piece: Piece, reply: Reply) -> Finished | None:
    """Return what came of a piece, or None where it is to be tried again.

    Raises:
        ObjectiveError: the problem breaks its contract, in the first batch.
    """
    n = len(piece.work.x)
    match reply:
        case Evaluation():
            evaluation = reply
        case Breach(text):
            if piece.work.batch == 0:
                raise ObjectiveError(text)
            evaluation = Evaluation.failed(n, Outcome.RAISED, text)
        case Lost(text):
            piece.n_lost += 1
            if piece.n_lost < MOST_LOST:
                return None
            reason = f"{piece.n_lost} workers died over this evaluation; the last one {text}"
            evaluation = Evaluation.failed(n, Outcome.LOST, reason)
        case TimedOut(seconds):
            piece.n_timeouts += 1
            if piece.n_timeouts < MOST_TIMEOUTS:
                return None
            reason = f"it took longer than eval_timeout, {seconds:g} s, {piece.n_timeouts} times"
            evaluation = Evaluation.failed(n, Outcome.TIMEOUT, reason)
        case _:
            assert_never(reply)
    return Finished(piece.work.batch, piece.work.rows, evaluation)
