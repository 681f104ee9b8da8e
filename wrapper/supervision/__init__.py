"""The supervisor: its loop, the observation, the plan, fencing, and the performer of the plan.

The loop (``supervisor``) repeats four steps: it updates the *observation* from events, computes the
*plan* from the observation, performs the plan's actions, and publishes a snapshot. A module that is
marked *pure* does no I/O and reads no clock: its functions get the time as ``now``, in seconds of
CLOCK_BOOTTIME. A function ``fold`` returns the state after one event, or after one action.
"""
