"""What goes wrong while a reward trains a policy, told from its first steps on."""

from derl_dsl.tools.watch.alarms import KINDS, Alarm
from derl_dsl.tools.watch.figures import Batch, Step, step_of
from derl_dsl.tools.watch.series import Watcher

__all__ = ["KINDS", "Alarm", "Batch", "Step", "Watcher", "step_of"]
