"""Load a model of either kind for a command that predicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flairlite.errors import SettingError

if TYPE_CHECKING:  # exported models predict without torch
    from flairlite.deploy import ExportedModel
    from flairlite.models import Model


def load_model(path: Path, device: str | None) -> Model | ExportedModel:
    """Return a model, or an exported model without importing torch.

    Args:
        path: The file.
        device: The device to predict on; None for the default.

    Raises:
        FlairliteError: If the model cannot be loaded, or cannot predict on the device.
    """
    from flairlite.deploy.file_format import is_export

    if is_export(path):
        from flairlite import deploy

        if device not in (None, "cpu"):
            raise SettingError(f"{path} is an exported model, which predicts on the CPU: leave out --device {device}")
        return deploy.load(path)
    from flairlite.models import Model

    return Model.load(path, device=device)
