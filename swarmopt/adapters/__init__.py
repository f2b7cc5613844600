"""swarmopt inside of other packages: a sampler of Optuna, a search of scikit-learn.

Each module imports the package that it adapts to, so it is imported by its own name:
`swarmopt.adapters.optuna` (extra `optuna`), `swarmopt.adapters.sklearn` (extra `sklearn`).
"""
