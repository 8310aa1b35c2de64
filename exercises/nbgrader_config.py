"""What a class needs of nbgrader; TEACHING.md says where this file goes."""

from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, DeduplicateIds, OverwriteCells, OverwriteKernelspec


class OneOfEach(DeduplicateIds):
    """Of a cell that is there twice, one is nbgrader's, the other an ordinary one.

    nbgrader 0.9.6 leaves an empty note at the other, takes it for that of an old version, and grades nobody any more.
    """

    def preprocess_cell(self, cell, resources, cell_index):
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if cell.metadata.get('nbgrader') == {}:
            del cell.metadata['nbgrader']
        return cell, resources


c = get_config()  # noqa: F821, nbgrader's
c.ClearSolutions.code_stub = {'python': '# YOUR CODE HERE'}  # without an error, so that all of a notebook can run
c.GenerateAssignment.preprocessors.prepend([TagRemovePreprocessor])
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {'answer'}  # our answers to what no check looks at
c.Execute.timeout = 600  # seconds for a cell: one that never ends gets no points, and the others are graded
c.Autograde.sanitize_preprocessors = [ClearOutput, OneOfEach, OverwriteKernelspec, OverwriteCells, CheckCellMetadata]
