"""Problems that are small enough to run here: a quadratic that is exactly solvable, logistic regression, small networks."""
