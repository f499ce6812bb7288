"""What a kernel can say about a subject; the text with the remedy is in :data:`MESSAGES`."""

OK = 0
NOT_FINITE = 1
TOO_MANY_STEPS = 2
STEP_TOO_SMALL = 3
INNER_NOT_CONVERGED = 4
HESSIAN_NOT_POSITIVE = 5
VARIANCE_NOT_POSITIVE = 6
EVENT_TIME_NEGATIVE = 7
NO_STEADY_STATE = 8
LAG_TOO_LONG = 9
INFUSION_NOT_POSITIVE = 10
PREDICTION_NOT_POSITIVE = 20

MESSAGES = {
    OK: "solved",
    NOT_FINITE: "the prediction is not finite at these parameters: check starting values and bounds",
    TOO_MANY_STEPS: "the ODE needs more steps than allowed, with the implicit method too: check starting values, bounds and the "
    "solver's max_steps",
    STEP_TOO_SMALL: "the ODE step became too small, with the implicit method too: the solution blows up or jumps at these "
    "parameters; check starting values, bounds and divisions by amounts that reach 0",
    INNER_NOT_CONVERGED: "the empirical Bayes estimate did not converge: the subject's data and the model disagree",
    HESSIAN_NOT_POSITIVE: "the second derivative at the empirical Bayes estimate is not positive definite",
    VARIANCE_NOT_POSITIVE: "the residual variance is zero, e.g. a proportional error where the prediction is 0: "
    "add an additive error, or exclude such records with MDV=1",
    PREDICTION_NOT_POSITIVE: "a prediction is zero or negative where the error is log-normal: exclude such records with "
    "MDV=1, or choose another error model",
    EVENT_TIME_NEGATIVE: "a lag time, or the bioavailability of an infusion, is negative at these parameters: bound it below "
    "by 0, or make its random effect multiplicative",
    NO_STEADY_STATE: "a steady-state dose has no steady state: some compartment is never emptied, or the doses exceed what the "
    "system can eliminate",
    LAG_TOO_LONG: "the lag of a steady-state dose is longer than its interval II: shorten the lag, or write the doses out",
    INFUSION_NOT_POSITIVE: "a modelled rate or duration is not positive: check its starting value and bounds",
}
