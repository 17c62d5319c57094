"""Train in several processes, one per GPU or several on the CPU, under Flair's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from flairlite.checks import shown, whole_number
from flairlite.errors import SettingError
from flairlite.runtime import get_device
from flairlite.trainers.process.group import is_main_process
from flairlite.trainers.process.launch import launch

__all__ = ["is_main_process", "launch_distributed"]


def launch_distributed(fn: Callable[..., Any], *args: Any, num_processes: int | None = None, **kwargs: Any) -> Any:
    """Call a function in several processes, in which `train(..., multi_gpu=True)` trains one model.

    The default device of each process is a GPU of its own, or the CPU if the default device here is the CPU. The
    function and its arguments are pickled. It must be defined in a file, and the script must call `launch_distributed`
    inside `if __name__ == "__main__":`, because each process imports it. CPU processes share the threads of torch.

    Ctrl-C and SIGTERM act as in a single process. If a process fails or is killed, the others end within a minute, and
    `resume=True` continues from the last checkpoint.

    Args:
        fn: The function; it makes corpus and model, and calls `train`.
        args: Its arguments.
        num_processes: The number of processes: by default the number of GPUs; to be given without GPUs.
        kwargs: Its keyword arguments.

    Returns:
        What the function returns in the process of rank 0.

    Raises:
        SettingError: If there are fewer GPUs, the number is missing, or something cannot be pickled.
        TrainingError: If a process is killed, or ends by itself.
        Exception: What the function raises in one of the processes, with its traceback as cause.

    Example:
        >>> def main():  # doctest: +SKIP
        ...     corpus = flairlite.datasets.UD_ENGLISH()
        ...     tagger = SequenceTagger(WordEmbeddings("glove"), corpus.make_label_dictionary("upos"), "upos")
        ...     return ModelTrainer(tagger, corpus).train("resources/upos", multi_gpu=True)
        >>> if __name__ == "__main__":  # doctest: +SKIP
        ...     launch_distributed(main)
    """
    if not callable(fn):
        raise SettingError(f"launch_distributed takes a function and its arguments; the first one is {shown(fn)}")
    count = whole_number(least=1, optional=True)("num_processes", num_processes)
    device = get_device()
    if device.type != "cuda":
        if count is None:
            raise SettingError(
                f"the default device is {device}, so that there is no number of GPUs: give the number of processes, "
                "such as num_processes=2"
            )
        return launch(fn, args, kwargs, [device.type] * count)
    available = torch.cuda.device_count()
    if (count or 1) > available:
        raise SettingError(f"num_processes must be at most {available}, the number of GPUs; it is {count}")
    return launch(fn, args, kwargs, [f"cuda:{index}" for index in range(count or available)])
