"""What students touch: a game for the waits, the knob, a lesson for a network, questions to it, a threshold."""

from widgets.asking import ask, threshold  # noqa: F401, the notebooks take them from here
from widgets.game import call_them, half_wrong  # noqa: F401
from widgets.knob import turn_the_knob  # noqa: F401
from widgets.teaching import teach  # noqa: F401
