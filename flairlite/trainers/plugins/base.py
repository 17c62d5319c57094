"""Plugins in Flair's style, whose methods are called at named events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from flairlite.errors import SettingError
from flairlite.trainers.process.group import is_main_process

if TYPE_CHECKING:
    from flairlite.data import Corpus
    from flairlite.models import Model
    from flairlite.trainers.trainer import ModelTrainer

_Function = TypeVar("_Function", bound=Callable[..., Any])

_EVENTS = "_hooked_events"  # the attribute that marks a method as a hook


class TrainingInterrupt(Exception):  # Flair's name
    """Raised by a plugin to end training, with the reason as message. The model is then saved and evaluated."""


class Pluggable:
    """Base class of objects that dispatch events to plugins.

    Args:
        plugins: Plugins, or plugin classes, to attach.

    Raises:
        SettingError: If one of them is not a plugin.
    """

    valid_events: ClassVar[frozenset[str] | None] = None  # None allows any event

    def __init__(self, *, plugins: Sequence[BasePlugin | type[BasePlugin]] = ()) -> None:
        self._plugins: list[BasePlugin] = []
        self._handles: list[HookHandle] = []
        self._queue: deque[tuple[str, tuple[Any, ...], dict[str, Any]]] = deque()
        self._is_dispatching = False
        for plugin in plugins:
            instance = plugin() if isinstance(plugin, type) else plugin
            if not isinstance(instance, BasePlugin):
                raise SettingError(f"plugins must be instances or classes of BasePlugin; one is {plugin!r}")
            instance.attach_to(self)

    @property
    def plugins(self) -> list[BasePlugin]:
        """The attached plugins."""
        return self._plugins

    def append_plugin(self, plugin: BasePlugin) -> None:
        """Add a plugin to `plugins`. `BasePlugin.attach_to` calls this, and also registers the hooks."""
        self._plugins.append(plugin)

    def validate_event(self, *events: str) -> None:
        """Check that events exist.

        Raises:
            SettingError: If there is no such event.
        """
        for event in events:
            if self.valid_events is not None and event not in self.valid_events:
                raise SettingError(f"no event {event!r}; the events are {', '.join(sorted(self.valid_events))}")

    def register_hook(self, func: Callable[..., Any], *events: str) -> HookHandle:
        """Register a function that is called at the given events, and return a handle to remove it.

        Raises:
            SettingError: If there is no such event, none is given, or `func` cannot be called.
        """
        self.validate_event(*events)
        if not events or not callable(func):
            raise SettingError(f"register_hook needs a function and at least one event; got {func!r} and {events!r}")
        handle = HookHandle(func, events, self)
        self._handles.append(handle)
        return handle

    def remove_hook(self, handle: HookHandle) -> None:
        """Remove a hook; do nothing if it was removed before."""
        if handle in self._handles:
            self._handles.remove(handle)

    def has_hook(self, event: str) -> bool:
        """Tell whether a hook is registered for an event."""
        return any(event in handle.events for handle in self._handles)

    def dispatch(self, event: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks of an event; the first error of a hook ends the dispatch.

        An event that a hook dispatches is processed after the current one.
        """
        self._dispatch(None, event, args, kwargs)

    def dispatch_to_all(self, event: str, *args: Any, **kwargs: Any) -> list[BaseException]:
        """Call every hook of an event, even if some raise, and return the errors."""
        errors: list[BaseException] = []
        self._dispatch(errors, event, args, kwargs)
        return errors

    def _dispatch(
        self, errors: list[BaseException] | None, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Call the hooks of an event and of those queued meanwhile; collect their errors unless `errors` is None."""
        self.validate_event(event)
        self._queue.append((event, args, kwargs))
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._queue:
                event, args, kwargs = self._queue.popleft()
                for handle in [handle for handle in self._handles if event in handle.events]:
                    try:
                        handle(*args, **kwargs)
                    except BaseException as error:
                        if errors is None:
                            raise
                        errors.append(error)
        finally:
            self._queue.clear()
            self._is_dispatching = False


class HookHandle:
    """A function registered for events.

    Args:
        func: The function.
        events: The events.
        pluggable: The object that dispatches the events.
    """

    def __init__(self, func: Callable[..., Any], events: Sequence[str], pluggable: Pluggable) -> None:
        self._func, self._events, self._pluggable = func, tuple(events), pluggable

    @property
    def events(self) -> tuple[str, ...]:
        """The events."""
        return self._events

    @property
    def func_name(self) -> str:
        """The qualified name of the function."""
        return str(getattr(self._func, "__qualname__", self._func))

    def remove(self) -> None:
        """Remove the hook."""
        self._pluggable.remove_hook(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._func(*args, **kwargs)


class BasePlugin:
    """Base class of plugins. A method decorated with `@BasePlugin.hook` is called at the event of the same name."""

    _hook_handles: tuple[HookHandle, ...] = ()
    _pluggable: Pluggable | None = None

    @property
    def pluggable(self) -> Pluggable | None:
        """The object that the plugin is attached to."""
        return self._pluggable

    @property
    def attach_to_all_processes(self) -> bool:
        """Whether the plugin acts in all processes that train together, not only in the main process."""
        return True

    def attach_to(self, pluggable: Pluggable) -> None:
        """Register the hooks of the plugin.

        Raises:
            SettingError: If the plugin is attached already, or there is no such event.
        """
        if self._pluggable is not None:
            raise SettingError(f"{self} is attached already: detach it first, or create another plugin")
        hooks = list(self._find_hooks()) if self.attach_to_all_processes or is_main_process() else []
        pluggable.validate_event(*chain.from_iterable(events for _, events in hooks))
        self._hook_handles = tuple(pluggable.register_hook(function, *events) for function, events in hooks)
        self._pluggable = pluggable
        pluggable.append_plugin(self)

    def detach(self) -> None:
        """Remove the hooks; do nothing if the plugin is not attached."""
        for handle in self._hook_handles:
            handle.remove()
        self._hook_handles = ()
        if self._pluggable is not None:
            self._pluggable.plugins.remove(self)
        self._pluggable = None

    @classmethod
    def mark_func_as_hook(cls, func: _Function, *events: str) -> _Function:
        """Mark a method as a hook for the given events, by default for the event of the same name."""
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
        """Return a description of the plugin."""
        return {"__cls__": f"{type(self).__module__}.{type(self).__qualname__}"}

    def state_dict(self) -> dict[str, Any]:
        """Return the state that checkpoints must contain, as tensors and plain containers."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned, when a run is resumed."""

    def __str__(self) -> str:
        return type(self).__name__

    def _find_hooks(self) -> Iterator[tuple[Callable[..., Any], tuple[str, ...]]]:
        for name in dir(type(self)):  # dir of the class, so that properties of the instance are not evaluated
            events = getattr(getattr(type(self), name, None), _EVENTS, None)
            if events is not None:
                yield getattr(self, name), events


class TrainerPlugin(BasePlugin):
    """A plugin of a `ModelTrainer`; `ModelTrainer.valid_events` lists the events."""

    @property
    def trainer(self) -> ModelTrainer:
        """The trainer.

        Raises:
            SettingError: If the plugin is not attached to a trainer.
        """
        if self._pluggable is None:
            raise SettingError(f"{self} is not attached to a trainer: pass it to train(..., plugins=[...])")
        trainer: Any = self._pluggable
        return trainer  # type: ignore[no-any-return]

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.trainer.model

    @property
    def corpus(self) -> Corpus:
        """The training corpus."""
        return self.trainer.corpus
