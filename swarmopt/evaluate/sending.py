"""How a problem gets into another process: by its recipe, or as it is. In memory only.

cloudpickle sends functions of a script, a notebook or a closure by their code, others by name.
"""

import cloudpickle

from swarmopt.errors import WorkerError
from swarmopt.problem import Problem, Recipe
from swarmopt.settings import build, import_object


def pack(problem: Problem) -> bytes:
    """Return the problem, or its recipe, as bytes for `unpack`.

    Raises:
        WorkerError: it holds what cannot be sent.
    """
    try:
        packed: bytes = cloudpickle.dumps(problem.recipe or problem)
    except Exception as error:
        raise WorkerError(
            f"{problem.name} cannot be sent to a worker: {type(error).__name__}: {error}. Open "
            f"files, locks and connections inside the function that uses them, or give the problem "
            f"a swarmopt.Recipe; without workers it runs in this process"
        ) from error
    return packed


def unpack(packed: bytes) -> Problem:
    """Return the problem, ready to evaluate.

    Raises:
        WorkerError: the recipe makes no problem. Any other exception is the problem's own, or of a
            module that cannot be imported here.
    """
    found = cloudpickle.loads(packed)
    if isinstance(found, Recipe):
        recipe = found
        factory = import_object(recipe.factory)
        found = build(factory, recipe.settings, recipe.factory)
        if not isinstance(found, Problem):
            raise WorkerError(
                f"the recipe {recipe.factory} returned {type(found).__name__}; expected a "
                f"swarmopt.Problem"
            )
        found.prepare()
    problem: Problem = found
    return problem
