"""report.html at the end of a run."""

from __future__ import annotations

import logging

from flairlite.errors import MissingExtraError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")


class Report(Callback):
    """Writes report.html from the files of the run, unless the run failed.

    Without jinja2 there is no report, and a message says so once per process. An error in the report is logged: the run
    is complete then, and `write_report` can be called again.
    """

    only_in_main_process = True
    _is_announced = False

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        """Write the report."""
        if error is not None:
            return
        try:
            from flairlite.visual.report import write_report

            write_report(state.base_path)
        except MissingExtraError as missing:
            if not Report._is_announced:
                log.info("no report.html is written: %s", missing)
            Report._is_announced = True
        except Exception as failure:
            log.warning("report.html could not be written, but the run is complete: %r", failure)
