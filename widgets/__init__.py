"""What students touch: a game for the waits."""

from widgets.game import call_them, half_wrong  # noqa: F401, the notebooks take them from here
