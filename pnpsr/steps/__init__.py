"""Steps: what binds networks and closed forms to the state."""

from pnpsr.steps.debiased import Debiased as Debiased
from pnpsr.steps.ensemble import SelfEnsemble as SelfEnsemble
from pnpsr.steps.hqs import DataStep as DataStep
from pnpsr.steps.hqs import HQSEstimator as HQSEstimator
from pnpsr.steps.hqs import HQSRestorer as HQSRestorer
from pnpsr.steps.learned import LearnedCorrector as LearnedCorrector
from pnpsr.steps.learned import LearnedEstimator as LearnedEstimator
from pnpsr.steps.learned import LearnedKernelStart as LearnedKernelStart
from pnpsr.steps.learned import LearnedRestorer as LearnedRestorer
from pnpsr.steps.phases import Until as Until
from pnpsr.steps.phases import keep_kernel as keep_kernel
from pnpsr.steps.sharpened import Sharpened as Sharpened
from pnpsr.steps.tune import Believing as Believing
from pnpsr.steps.tune import Continuation as Continuation
from pnpsr.steps.tune import HyperNet as HyperNet
from pnpsr.steps.tune import Schedule as Schedule
from pnpsr.steps.turn import ChooseTurn as ChooseTurn
