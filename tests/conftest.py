"""Hypothesis runs the same examples every time: a red run can be repeated, a green one is not luck.

A shell that starts a job in the background has it ignore Ctrl-C's signal, and Python then leaves it so: the tests
that press Ctrl-C would wait for ever.
"""

import signal

from hypothesis import HealthCheck, settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("fixed")
