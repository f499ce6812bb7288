"""Between two times by the stepper that suits: explicit, implicit where the system is stiff, and back."""

from __future__ import annotations

from pkpd._jit import kernel
from pkpd.kernels.ode_step import CHANGE_STEPPER, EXPLICIT, IMPLICIT, MODE, RESUMED, RETRIED, STEPS, explicit
from pkpd.kernels.radau import implicit
from pkpd.kernels.status import OK, TOO_MANY_STEPS


@kernel(allocates=False)
def advance(
    order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted, work,
    stages,
):  # fmt: skip
    """Advance ``work.y`` from ``t`` to ``stop``, recording observations before ``stop``.

    Parameters
    ----------
    order : int
        Of derivatives.
    forced : bool
        Derivatives to the parameters, else to the state at the start (``slots`` = n).
    kind : int
        What began the segment: a kind of event, or SWITCH or CHANGE.
    piece : int
        Piece of the time-varying inputs where they move within it, else -1.
    done, wanted : int
        Observations recorded so far and in all.

    Returns
    -------
    status, done : int

    Notes
    -----
    Where the explicit method fails the implicit one goes on: to ``stop``, or for good and with a count of steps of its own where
    the steps ran out. Only the implicit method's failure is one.
    """
    pace = work.pace
    # who ran out of explicit steps once would again after the next dose
    change = system.settings[3] != 1.0 and pace[RETRIED] < 2.0
    status = CHANGE_STEPPER
    while status == CHANGE_STEPPER:
        if pace[MODE] == EXPLICIT and change:
            status, done, t = explicit(
                order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples,
                done, wanted, work,
            )  # fmt: skip
            if status == OK:
                break
            pace[MODE] = IMPLICIT
            if status == TOO_MANY_STEPS:
                pace[STEPS], pace[RETRIED] = 0.0, 2.0
            if status != CHANGE_STEPPER:
                pace[RETRIED] = max(pace[RETRIED], 1.0)
                change, status = False, CHANGE_STEPPER
        else:
            status, done, t = implicit(
                order, forced, slots, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted,
                work, stages, change,
            )  # fmt: skip
            if status == CHANGE_STEPPER:
                pace[MODE], kind = EXPLICIT, RESUMED
    return status, done
