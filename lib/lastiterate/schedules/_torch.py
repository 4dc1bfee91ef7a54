"""The PyTorch scheduler behind `adapters.to_torch`, in a file of its own because its class needs PyTorch at import."""

import warnings
import weakref

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Factor:
    """Factor of the base learning rate by the number of steps done; behind the last step the last one is kept."""

    def __init__(self, eta: list[float]):
        self.eta = eta

    def __call__(self, steps_done: int) -> float:
        return self.eta[min(steps_done, len(self.eta) - 1)]


class ArraySchedule(LambdaLR):
    """LambdaLR whose rates are those of its own arrays after a resume, too, in whatever order states are loaded.

    PyTorch's schedulers restore a count and leave the optimizer's rate as it was saved; with another horizon the first step would
    have the old schedule's rate. Here the arrays are not part of the state, and every loading sets the rates.
    """

    def __init__(self, optimizer: Optimizer, etas: list[list[float]], last_epoch: int = -1):
        self.warned = False
        if last_epoch != -1:  # of a fresh optimizer: its rate is the base rate
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
        super().__init__(optimizer, [Factor(eta) for eta in etas], last_epoch)
        me = weakref.ref(self)

        def loaded(_):
            if (mine := me()) is not None:
                mine._set()

        optimizer.register_load_state_dict_post_hook(loaded)

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        T = max(len(factor.eta) for factor in self.lr_lambdas)
        if self.last_epoch > T and not self.warned:
            self.warned = True
            warnings.warn(f"step {self.last_epoch} is behind the schedule's {T}: its last rate is kept", stacklevel=2)

    def state_dict(self) -> dict:
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_step_count": self._step_count}

    def load_state_dict(self, state_dict: dict) -> None:
        for key in ("last_epoch", "base_lrs"):
            if key not in state_dict:
                raise ValueError(
                    f"state_dict must be a scheduler's, with {key!r}, got one with {', '.join(state_dict) or 'nothing'}"
                )
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            found = len(state_dict["base_lrs"])
            raise ValueError(f"state_dict must be of {len(self.base_lrs)} parameter groups, got one of {found}")
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        self._step_count = state_dict.get("_step_count", self.last_epoch + 1)
        self._set()

    def _set(self):
        """Give the optimizer the rates of the present step."""
        rates = [base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)]
        for group, base, rate in zip(self.optimizer.param_groups, self.base_lrs, rates, strict=True):
            group["initial_lr"] = base
            if hasattr(group["lr"], "fill_"):  # a tensor, which a compiled step holds on to
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self._last_lr = rates
