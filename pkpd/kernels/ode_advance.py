"""Between two times by the stepper that suits: explicit, implicit where the system is stiff, and back."""

from __future__ import annotations

from pkpd._jit import kernel
from pkpd.kernels.dormand_prince import Y
from pkpd.kernels.ode_step import CHANGE_STEPPER, EXPLICIT, IMPLICIT, MODE, RESUMED, RETRIED, STEPS, explicit
from pkpd.kernels.radau import implicit
from pkpd.kernels.status import OK, TOO_MANY_STEPS
from pkpd.kernels.variation import held_size, state_size


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
    pace, n, held = work.pace, system.n, system.held
    # all derivatives to the state at the start are held
    size = held_size(order, n, slots, held) if forced else state_size(order, n, slots)
    for c in range(size):
        work.k[Y, c] = work.y[held[c] if forced else c]
    work.whole[:] = 0.0
    # who ran out of explicit steps once would again after the next dose
    change = system.settings[3] != 1.0 and pace[RETRIED] < 2.0
    status = CHANGE_STEPPER
    while status == CHANGE_STEPPER:
        if pace[MODE] == EXPLICIT and change:
            status, done, t = explicit(
                size, order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples,
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
                size, order, forced, slots, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done,
                wanted, work, stages, change,
            )  # fmt: skip
            if status == CHANGE_STEPPER:
                pace[MODE], kind = EXPLICIT, RESUMED
    for c in range(size):
        work.y[held[c] if forced else c] = work.k[Y, c]
    return status, done
