"""nbval runs the notebooks: here it gives a busy machine more than its own five seconds to say that a cell ended."""


def pytest_itemcollected(item):
    if hasattr(item, 'output_timeout'):
        item.output_timeout = 120
