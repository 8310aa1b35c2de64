"""nbval runs the notebooks: it gives a busy machine time to say that a cell has ended, more than its own five seconds."""


def pytest_itemcollected(item):
    if hasattr(item, 'output_timeout'):
        item.output_timeout = 120
