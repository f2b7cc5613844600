"""What swarmopt itself brings, registered through the hooks that any plugin uses."""

from swarmopt.plugins import Registration, hookimpl


@hookimpl
def swarmopt_register_problems() -> list[Registration]:
    """Return the problems, the easiest first."""
    room = "swarmopt.problems"
    return [
        Registration("sphere", f"{room}.analytic:Sphere", "One bowl, off the centre."),
        Registration("ellipsoid", f"{room}.analytic:Ellipsoid", "A rotated bowl of condition 1e6."),
        Registration("rosenbrock", f"{room}.analytic:Rosenbrock", "A bent, flat valley."),
        Registration("rastrigin", f"{room}.analytic:Rastrigin", "About 10^dim local minima."),
        Registration("ackley", f"{room}.analytic:Ackley", "One hole in a dented plain."),
        Registration(
            "constrained-sphere",
            f"{room}.analytic:ConstrainedSphere",
            "The nearest point in a ball cut by a plane; both walls are active.",
        ),
        Registration(
            "pressure-vessel",
            f"{room}.mixed:PressureVessel",
            "The cheapest vessel: integers and reals under constraints.",
        ),
        Registration(
            "tuning", f"{room}.mixed:Tuning", "Made-up network tuning: every kind of variable."
        ),
        Registration(
            "knapsack", f"{room}.combinatorial:Knapsack", "The most valuable items of a set weight."
        ),
        Registration(
            "coco", f"{room}.coco:Coco", "A function of COCO's bbob or bbob-mixint (extra: coco)."
        ),
    ]


@hookimpl
def swarmopt_register_algorithms() -> list[Registration]:
    """Return the algorithms, the default first."""
    room = "swarmopt.algorithms"
    return [
        Registration("ssa", f"{room}.ssa:SSA", "Adapted sparrow search: the default."),
        Registration(
            "ssa-classic",
            f"{room}.ssa_classic:SSAClassic",
            "Sparrow search as published in 2020; biased to the origin.",
        ),
        Registration("pso", f"{room}.pso:PSO", "Particle swarm in a ring neighbourhood."),
        Registration("ga", f"{room}.ga:GA", "Genetic algorithm with SBX and native integers."),
        Registration(
            "random-search",
            f"{room}.random_search:RandomSearch",
            "Uniform points, none twice in a finite space.",
        ),
    ]


@hookimpl
def swarmopt_register_evaluators() -> list[Registration]:
    """Return the evaluators."""
    return [
        Registration(
            "in-process", "swarmopt.evaluate.in_process:evaluate", "One call in this process."
        )
    ]


@hookimpl
def swarmopt_register_commands() -> list[Registration]:
    """Return the commands."""
    room = "swarmopt.cli"
    return [
        Registration("run", f"{room}.run:run", "Optimise a problem and keep the run in a folder."),
        Registration("list", f"{room}.inspect:list_", "List problems and algorithms."),
        Registration("show", f"{room}.inspect:show", "Show the settings of one of them."),
        Registration("plugins", f"{room}.inspect:plugins", "List plugins, and why one is skipped."),
    ]
