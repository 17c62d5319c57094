"""The loop over batches: losses are computed and weights are changed here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import Batch, Dataset
from flairlite.errors import TrainingError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.data_parallel import DataParallel, SingleProcess
from flairlite.trainers.splits import Split
from flairlite.trainers.state import TrainingState
from flairlite.trainers.step_graph import StepGraphs

_MAX_PENDING = 50  # losses kept on a device before they are read, which waits for the device
_MAX_SHOWN = 60  # characters of a sentence in an error message


def train_epoch(
    state: TrainingState,
    split: Split,
    batches: Sequence[Tensor],
    generator: torch.Generator,
    callbacks: Sequence[Callback],
    processes: SingleProcess,
    *,
    max_grad_norm: float | None = 5.0,
    chunk_size: int | None = None,
    use_amp: bool = False,
    graphs: StepGraphs | None = None,
) -> None:
    """Train on each batch of an epoch once, starting with batch `state.iteration`.

    Args:
        state: The state of the run, which is updated.
        split: The encoded sentences.
        batches: Positions of the sentences of each batch.
        generator: Draws dropout masks, on the model's device.
        callbacks: Called before, within and after each step.
        processes: The processes that share each batch, or the only one.
        max_grad_norm: The norm to which gradients are clipped, or None.
        chunk_size: Sentences computed at once, if a whole batch does not fit into memory.
        use_amp: Whether to run operations that support it in bfloat16 (autocast); weights stay as they are.
        graphs: Takes the steps, in place of the operations here; they have the same norm and precision.

    Raises:
        TrainingError: If the loss of a batch is not finite, with its sentences.
    """
    is_resumed = state.is_in_epoch  # a resumed run continues within its epoch
    if not is_resumed:
        state.num_batches = len(batches)
        state.begin_epoch()
        for callback in callbacks:
            callback.on_epoch_begin(state)
    if not (is_resumed and state.model.training):  # entering training mode would empty a memory that was restored
        state.model.train()
    state.optimizer.zero_grad()  # gradients that the caller, or an interrupted run, has left
    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    watch = LossWatch(state, split.sentences)
    compute = _Gradients(state, split.dataset, generator, watch, chunk_size, use_amp=use_amp)
    if graphs is not None:
        graphs.begin_epoch()
    for indices in batches[state.iteration :]:
        state.indices = indices
        for callback in callbacks:
            callback.on_batch_begin(state)
        if graphs is not None:
            state.batch_loss = graphs.step(split.dataset, indices)
            watch.add(state.batch_loss, indices)
        else:
            if isinstance(processes, DataParallel):
                state.batch_loss = compute.together(indices, parameters, processes)
            else:
                state.batch_loss = compute(indices)
            for callback in callbacks:
                callback.on_backward_end(state)
            if max_grad_norm is not None:
                state.gradient_norm = torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
            state.optimizer.step()
            state.optimizer.zero_grad()
        state.loss_sum += state.batch_loss
        state.iteration += 1
        for callback in callbacks:
            callback.on_batch_end(state)
    watch.check()


class _Gradients:
    """Computes the gradients of batches; see `train_epoch` for the arguments."""

    def __init__(
        self,
        state: TrainingState,
        dataset: Dataset,
        generator: torch.Generator,
        watch: LossWatch,
        chunk_size: int | None,
        *,
        use_amp: bool,
    ) -> None:
        self._state, self._dataset, self._generator, self._watch = state, dataset, generator, watch
        self._chunk_size, self._use_amp = chunk_size, use_amp

    def __call__(self, indices: Tensor) -> Tensor:
        """Add the gradients of the summed loss of a batch to those of the weights, and return the loss, ()."""
        return self._add_gradients(indices, self._watch)

    def together(self, indices: Tensor, parameters: Sequence[Tensor], processes: DataParallel) -> Tensor:
        """Do the same, where each process computes the gradients of a share of the batch."""
        state = self._state
        num_words, num_labels = state.num_words, state.num_labels
        share = processes.take_share(indices, self._dataset.sizes)
        loss = self._add_gradients(share, None) if len(share) else None
        own = (state.num_words - num_words, state.num_labels - num_labels)
        sums = processes.sum_gradients(parameters, loss, *own)
        state.num_words, state.num_labels = num_words + sums.num_words, num_labels + sums.num_labels
        self._watch.add(sums.loss, indices)  # the sum is not finite if one share is not
        return sums.loss

    def _add_gradients(self, indices: Tensor, watch: LossWatch | None) -> Tensor:
        chunks = (indices,) if self._chunk_size is None else torch.split(indices, self._chunk_size)
        losses = [self._backward(self._dataset.batch(chunk), watch) for chunk in chunks]
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _backward(self, batch: Batch, watch: LossWatch | None) -> Tensor:
        state = self._state
        with torch.autocast(state.model.device.type, torch.bfloat16, enabled=self._use_amp):
            loss = state.model.loss(state.model(batch, self._generator), batch)
        if watch is not None:
            watch.add(loss, batch.indices)
        loss.backward()  # type: ignore[no-untyped-call]  # the sum, not the mean: the learning rates assume it
        state.num_words += batch.num_tokens
        state.num_labels += batch.num_labels
        return loss.detach()


class LossWatch:
    """Checks that the loss of each batch is finite; on the CPU before the weights are changed.

    Reading a loss waits for other devices, so that many losses are read at once there.

    Args:
        state: The state of the run.
        sentences: The training sentences.
    """

    def __init__(self, state: TrainingState, sentences: Sequence[Sentence]) -> None:
        self._state, self._sentences = state, sentences
        self._pending: list[tuple[Tensor, Tensor]] = []

    def add(self, loss: Tensor, indices: Tensor) -> None:
        """Add the loss of the next batch, and the positions of its sentences."""
        self._pending.append((loss.detach(), indices))
        if loss.device.type == "cpu" or len(self._pending) == _MAX_PENDING:
            self.check()

    def check(self) -> None:
        """Check the losses that have not been read yet.

        Raises:
            TrainingError: If a loss is not finite, with the sentences of the first such batch.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        losses = torch.stack([loss for loss, _ in pending]).tolist()  # waits for the device
        for loss, (_, indices) in zip(losses, pending, strict=True):
            if not math.isfinite(loss):
                lines = [
                    f"  sentence {index + 1}: {_shorten(self._sentences[index].to_tokenized_string())}"
                    for index in indices.tolist()
                ]
                location = ", in this batch:\n" + "\n".join(lines) + "\n"
                raise make_not_finite_error(self._state, f"the loss became {loss}", location)


def make_not_finite_error(state: TrainingState, problem: str, location: str | None = None) -> TrainingError:
    """Return the error of a run whose loss or weights are not finite, by default after the current batch."""
    location = location or f", after batch {state.iteration} of {state.num_batches}. "
    return TrainingError(
        f"{problem} in epoch {state.epoch}{location}Lower the learning rate, which is {state.epoch_learning_rate}, or "
        "check the data. The best model and the last checkpoint are kept"
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
