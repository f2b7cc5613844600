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
        Registration("griewank", f"{room}.analytic:Griewank", "A bowl with countless dimples."),
        Registration(
            "schwefel", f"{room}.analytic:Schwefel", "Deep valleys, the second best far off."
        ),
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
            "integer-quadratic",
            f"{room}.integer:IntegerQuadratic",
            "A narrow, rotated bowl on whole numbers.",
        ),
        Registration(
            "knapsack", f"{room}.combinatorial:Knapsack", "The most valuable items of a set weight."
        ),
        Registration(
            "nk-landscape",
            f"{room}.combinatorial:NKLandscape",
            "Bits whose worth depends on their neighbours.",
        ),
        Registration(
            "max-sat", f"{room}.combinatorial:MaxSat", "Random 3-SAT with a hidden solution."
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
        Registration("de", f"{room}.de:DE", "Differential evolution with a pool of parameters."),
        Registration(
            "abc", f"{room}.bee_colony:ABC", "Artificial bee colony as in ABCPruner's search."
        ),
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
            "in-process", "swarmopt.evaluate.in_process:InProcess", "One call in this process."
        ),
        Registration(
            "pool", "swarmopt.evaluate.pool:Pool", "Resident processes on this machine: --workers."
        ),
        Registration("cluster", "swarmopt.evaluate.cluster:Cluster", "A Dask cluster: --cluster."),
    ]


@hookimpl
def swarmopt_register_commands() -> list[Registration]:
    """Return the commands."""
    room = "swarmopt.cli"
    return [
        Registration("run", f"{room}.run:run", "Optimise a problem and keep the run in a folder."),
        Registration("resume", f"{room}.resume:resume", "Go on with the run in a folder."),
        Registration(
            "compare", f"{room}.compare:compare", "Compare algorithms, and say what that shows."
        ),
        Registration("report", f"{room}.report:report", "Write one HTML page about a folder."),
        Registration("export", f"{room}.export:export", "Write a folder as CSV or IOHprofiler."),
        Registration("list", f"{room}.inspect:list_", "List problems and algorithms."),
        Registration(
            "show", f"{room}.inspect:show", "Show the settings of a problem or an algorithm."
        ),
        Registration("plugins", f"{room}.inspect:plugins", "List plugins, and why one is skipped."),
    ]
