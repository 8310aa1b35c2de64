# What a class needs of nbgrader; TEACHING.md says where this file goes
c = get_config()  # noqa: F821, nbgrader's
c.ClearSolutions.code_stub = {'python': '# YOUR CODE HERE'}  # without an error, so that all of a notebook can run
c.Execute.timeout = 600  # seconds for a cell: one that never ends gets no points, and the others are graded
