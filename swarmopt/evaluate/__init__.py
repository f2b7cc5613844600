"""Where evaluations run, and the memory that saves some of them."""
