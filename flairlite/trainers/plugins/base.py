"""Flair's way to take part in training: plugins whose methods are hooked to named events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from flairlite.errors import SettingError

if TYPE_CHECKING:
    from flairlite.data import Corpus
    from flairlite.models import Model
    from flairlite.trainers.trainer import ModelTrainer

_Function = TypeVar("_Function", bound=Callable[..., Any])

_EVENTS = "_hooked_events"  # the attribute that marks a method as a hook


class TrainingInterrupt(Exception):  # Flair's name
    """Raised by a plugin to end training; its message says why. What was reached is saved and evaluated."""


class Pluggable:
    """Something with events that plugins are hooked to.

    Args:
        plugins: Plugins, or classes of plugins, to attach.
    """

    valid_events: ClassVar[frozenset[str] | None] = None  # None allows any

    def __init__(self, *, plugins: Sequence[BasePlugin | type[BasePlugin]] = ()) -> None:
        self._plugins: list[BasePlugin] = []
        self._handles: list[HookHandle] = []
        self._waiting: deque[tuple[str, tuple[Any, ...], dict[str, Any]]] = deque()
        self._is_dispatching = False
        for plugin in plugins:
            (plugin() if isinstance(plugin, type) else plugin).attach_to(self)

    @property
    def plugins(self) -> list[BasePlugin]:
        """The plugins that are attached."""
        return self._plugins

    def append_plugin(self, plugin: BasePlugin) -> None:
        """Note that a plugin is attached; `BasePlugin.attach_to` does this and hooks its methods."""
        self._plugins.append(plugin)

    def validate_event(self, *events: str) -> None:
        """Refuse events that there are not.

        Raises:
            SettingError: naming those that there are.
        """
        for event in events:
            if self.valid_events is not None and event not in self.valid_events:
                raise SettingError(f"no event {event!r}; there are {', '.join(sorted(self.valid_events))}")

    def register_hook(self, func: Callable[..., Any], *events: str) -> HookHandle:
        """Have a function called at events; the handle that is returned can `remove` it.

        Raises:
            SettingError: when there is no such event.
        """
        self.validate_event(*events)
        handle = HookHandle(func, events, self)
        self._handles.append(handle)
        return handle

    def remove_hook(self, handle: HookHandle) -> None:
        """Have a function no longer called."""
        self._handles.remove(handle)

    def has_hook(self, event: str) -> bool:
        """Tell whether anything is hooked to an event."""
        return any(event in handle.events for handle in self._handles)

    def dispatch(self, event: str, *args: Any, **kwargs: Any) -> None:
        """Call all that is hooked to an event.

        An event that a hook itself dispatches comes after the one that is going on, not within it.
        """
        self.validate_event(event)
        self._waiting.append((event, args, kwargs))
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._waiting:
                event, args, kwargs = self._waiting.popleft()
                for handle in list(self._handles):
                    if event in handle.events:
                        handle(*args, **kwargs)
        finally:
            self._waiting.clear()
            self._is_dispatching = False


class HookHandle:
    """A function that is hooked to events of something.

    Args:
        func: The function.
        events: The events.
        pluggable: What has the events.
    """

    def __init__(self, func: Callable[..., Any], events: Sequence[str], pluggable: Pluggable) -> None:
        self._func, self._events, self._pluggable = func, tuple(events), pluggable

    @property
    def events(self) -> tuple[str, ...]:
        """The events."""
        return self._events

    @property
    def func_name(self) -> str:
        """The name of the function, with that of its class."""
        return str(getattr(self._func, "__qualname__", self._func))

    def remove(self) -> None:
        """Have the function no longer called."""
        self._pluggable.remove_hook(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._func(*args, **kwargs)


class BasePlugin:
    """A plugin: methods under `@BasePlugin.hook` are called at the event of their name, or at those named there."""

    _hook_handles: tuple[HookHandle, ...] = ()
    _pluggable: Pluggable | None = None

    @property
    def pluggable(self) -> Pluggable | None:
        """What the plugin is attached to."""
        return self._pluggable

    @property
    def attach_to_all_processes(self) -> bool:
        """Whether it is attached in each of several processes that train together; there is only one."""
        return True

    def attach_to(self, pluggable: Pluggable) -> None:
        """Hook the methods to the events of something.

        Raises:
            SettingError: when the plugin is attached already, or there is no such event.
        """
        if self._pluggable is not None:
            raise SettingError(f"{self} is attached already: detach it first, or make another one")
        hooks = list(self._hooks())
        pluggable.validate_event(*chain.from_iterable(events for _, events in hooks))
        self._hook_handles = tuple(pluggable.register_hook(function, *events) for function, events in hooks)
        self._pluggable = pluggable
        pluggable.append_plugin(self)

    def detach(self) -> None:
        """Take the methods off the events, if the plugin is attached."""
        for handle in self._hook_handles:
            handle.remove()
        self._hook_handles = ()
        if self._pluggable is not None:
            self._pluggable.plugins.remove(self)
        self._pluggable = None

    @classmethod
    def mark_func_as_hook(cls, func: _Function, *events: str) -> _Function:
        """Mark a method as a hook of events, or of that of its name."""
        setattr(func, _EVENTS, events or (func.__name__,))
        return func

    @overload
    @classmethod
    def hook(cls, first_arg: _Function) -> _Function: ...

    @overload
    @classmethod
    def hook(cls, first_arg: str | None = ..., *other_args: str) -> Callable[[_Function], _Function]: ...

    @classmethod
    def hook(cls, first_arg: Callable[..., Any] | str | None = None, *other_args: str) -> Any:
        """Decorate a method: `@hook`, `@hook()` or `@hook("before_training_epoch", "after_training")`."""
        if first_arg is not None and not isinstance(first_arg, str):
            return cls.mark_func_as_hook(first_arg, *other_args)
        events = () if first_arg is None else (first_arg, *other_args)
        return lambda func: cls.mark_func_as_hook(func, *events)

    def get_state(self) -> dict[str, Any]:
        """Return what describes the plugin, for records of runs."""
        return {"__cls__": f"{type(self).__module__}.{type(self).__qualname__}"}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep, as tensors and plain containers, so that a resumed run is the same."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned when the checkpoint was written."""

    def __str__(self) -> str:
        return type(self).__name__

    def _hooks(self) -> Iterator[tuple[Callable[..., Any], tuple[str, ...]]]:
        for name in dir(type(self)):  # of the class, so that properties are not asked
            events = getattr(getattr(type(self), name, None), _EVENTS, None)
            if events is not None:
                yield getattr(self, name), events


class TrainerPlugin(BasePlugin):
    """A plugin of a `ModelTrainer`; `ModelTrainer.valid_events` lists the events."""

    @property
    def trainer(self) -> ModelTrainer:
        """The trainer.

        Raises:
            SettingError: when the plugin is not attached to one.
        """
        if self._pluggable is None:
            raise SettingError(f"{self} is not attached to a trainer: give it to train(..., plugins=[...])")
        trainer: Any = self._pluggable
        return trainer  # type: ignore[no-any-return]

    @property
    def model(self) -> Model:
        """The model that is trained."""
        return self.trainer.model

    @property
    def corpus(self) -> Corpus:
        """The corpus that it is trained on."""
        return self.trainer.corpus
