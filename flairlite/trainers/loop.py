"""The loop over batches: where the loss is computed and the weights are changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from flairlite.encoding import Batch
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.loss_check import LossWatch
from flairlite.trainers.splits import Split
from flairlite.trainers.state import TrainingState


def train_epoch(
    state: TrainingState,
    split: Split,
    batches: Sequence[Tensor],
    generator: torch.Generator,
    callbacks: Sequence[Callback],
    *,
    max_grad_norm: float | None = 5.0,
    chunk_size: int | None = None,
    use_amp: bool = False,
) -> None:
    """Train on each batch of an epoch once, from the one on where the run stands.

    Args:
        run: The run; its counts are kept up to date.
        split: The encoded sentences.
        batches: Positions of the sentences of each batch of the epoch.
        generator: Decides what dropout drops, on the model's device.
        callbacks: Called before, within and after each step.
        max_grad_norm: What the norm of the gradients is clipped to, or None.
        chunk_size: Sentences computed at once, where a batch does not fit into memory; None computes it whole.
        use_amp: Compute in bfloat16 what bears it; weights stay as they are.

    Raises:
        TrainingError: when the loss of a batch is not finite, with its sentences.
    """
    if not state.is_in_epoch:  # else a resumed run goes on within it
        state.num_batches = len(batches)
        state.begin_epoch()
        for callback in callbacks:
            callback.on_epoch_begin(state)
    state.model.train()
    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    watch = LossWatch(state, split.sentences)
    for indices in batches[state.iteration :]:
        state.indices = indices
        for callback in callbacks:
            callback.on_batch_begin(state)
        chunks = (indices,) if chunk_size is None else torch.split(indices, chunk_size)
        losses = [_backward(state, split.dataset.batch(chunk), generator, watch, use_amp=use_amp) for chunk in chunks]
        state.batch_loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
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


def _backward(
    state: TrainingState, batch: Batch, generator: torch.Generator, watch: LossWatch, *, use_amp: bool
) -> Tensor:
    """Add to the gradients those of the loss of a batch, and return that loss, a tensor ()."""
    with torch.autocast(state.model.device.type, torch.bfloat16, enabled=use_amp):
        loss = state.model.loss(state.model(batch, generator), batch)
    watch.note(loss, batch.indices)
    loss.backward()  # type: ignore[no-untyped-call]  # the sum, not the mean: the learning rates assume it
    state.num_words += batch.num_tokens
    state.num_labels += batch.num_labels
    return loss.detach()
