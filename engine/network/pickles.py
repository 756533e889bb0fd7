"""Reading pickles without running any code: calls are only recorded.

PyTorch's own safe reader refuses what it does not know, for example a NumPy number beside the weights, and sets no
limits: a file of 39 kB can make it allocate gigabytes. Here only a few known instructions are allowed, their number is
limited, and they do nothing but combine plain values.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MOST_STEPS = 200_000
"""Maximum number of instructions of a pickle, about a second's. A state dict with its optimizer has a few thousand."""
LARGEST_KEY = 1 << 60
"""Up to this magnitude, no two integers have the same hash, except -1 and -2."""


class PickleError(ValueError):
    """The bytes are not a pickle that can be read here; the message, which follows the file's name, says why."""


@dataclass(eq=False)
class Named:
    """A reference of a pickle to something in a module, which is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """The record of a call that is not made: the callee, its arguments, and what is set on the result."""

    callee: Named
    arguments: tuple[Any, ...]
    state: Any = None
    items: list[Any] = field(default_factory=list)
    """The items appended or set, in order."""


Call = Callable[[Named, tuple[Any, ...]], Any]
"""Replaces a call: returns a value, or NotImplemented for a Made."""

_MARK = object()
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
}  # fmt: skip
"""Instructions that push their argument."""


def _key(value: Any) -> Any:
    """`value` as a key: itself if it is safe to hash.

    Hashing a deeply nested value would crash the process. And integers beyond `LARGEST_KEY`, fractions and tuples can
    be chosen to have the same hash, with which a dict takes quadratic time.
    """
    if isinstance(value, str | bytes | Named | Made | None) or (isinstance(value, int) and abs(value) <= LARGEST_KEY):
        return value
    return Made(Named("builtins", "object"), ())


class _Machine:
    """A pickle's stack and memory."""

    def __init__(self, call: Call, persistent: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}
        self._call, self._persistent = call, persistent

    def step(self, name: str, argument: Any) -> None:  # noqa: PLR0912, PLR0915 (a case for each instruction)
        stack = self.stack
        match name:
            case _ if name in _VALUES:
                stack.append(argument)
            case _ if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_SET":
                stack.append(set())
            case "MARK":
                stack.append(_MARK)
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._take(int(name[-1]))))
            case "LIST":
                stack.append(self._since_mark())
            case "DICT":
                stack.append({})
                self._set_items(self._since_mark(1))
            case "FROZENSET":
                stack.append(frozenset(map(_key, self._since_mark())))
            case "APPEND":
                self._append(self._take(1))
            case "APPENDS" | "ADDITEMS":
                self._append(self._since_mark())
            case "SETITEM":
                self._set_items(self._take(2))
            case "SETITEMS":
                self._set_items(self._since_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memory[argument] = stack[-1]
            case "MEMOIZE":
                self.memory[len(self.memory)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memory[argument])
            case "GLOBAL":
                stack.append(Named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                module, within = self._take(2)
                if not isinstance(module, str) or not isinstance(within, str):
                    raise PickleError("is damaged")
                stack.append(Named(module, within))
            case "REDUCE" | "NEWOBJ":
                stack.append(self._made(*self._take(2)))
            case "NEWOBJ_EX":
                callee, arguments, _ = self._take(3)
                stack.append(self._made(callee, arguments))
            case "BUILD":
                self._build(*self._take(1))
            case "BINPERSID":
                stack.append(self._persistent(stack.pop()))
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _:
                raise PickleError(f"uses the pickle instruction {name}, which weights files do not need")

    def _take(self, count: int) -> list[Any]:
        taken = self.stack[-count:]
        if len(taken) < count or any(each is _MARK for each in taken):
            raise PickleError("is damaged")
        del self.stack[-count:]
        return taken

    def _since_mark(self, before: int = 0) -> list[Any]:
        """Pop what was pushed since the last mark, and the mark; the top `before` values stay on the stack."""
        top = [self.stack.pop() for _ in range(before)]
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                taken = self.stack[place + 1 :]
                del self.stack[place:]
                self.stack += top
                return taken
        raise PickleError("is damaged")

    def _append(self, values: list[Any]) -> None:
        match self.stack[-1]:
            case list() as target:
                target += values
            case set() as target:
                target.update(map(_key, values))
            case Made() as target:
                target.items += values
            case _:
                raise PickleError("is damaged")

    def _set_items(self, values: list[Any]) -> None:
        pairs = zip(values[::2], values[1::2], strict=True)
        match self.stack[-1]:
            case dict() as target:
                target.update((_key(key), value) for key, value in pairs)
            case Made() as target:
                target.items += pairs
            case _:
                raise PickleError("is damaged")

    def _made(self, callee: Any, arguments: Any) -> Any:
        if not isinstance(callee, Named) or not isinstance(arguments, tuple):
            raise PickleError("is damaged")
        if str(callee) == "collections.OrderedDict" and not arguments:
            return OrderedDict()
        found = self._call(callee, arguments)
        return Made(callee, arguments) if found is NotImplemented else found

    def _build(self, state: Any) -> None:
        target = self.stack[-1]
        if isinstance(target, Made):
            target.state = state
        elif isinstance(target, OrderedDict) and isinstance(state, dict):
            vars(target).update({key: value for key, value in state.items() if key == "_metadata"})


def read_pickle(file: BinaryIO, call: Call, persistent: Callable[[Any], Any]) -> Any:
    """The value of the pickle at the current position of `file`, which then is after it.

    It consists of lists, dicts, tuples, sets, text, bytes and numbers. `call` replaces calls, and `persistent` the
    persistent IDs that torch.save uses for storages; other calls become a Made. Raises only PickleError, whatever the
    bytes are.
    """
    machine, steps = _Machine(call, persistent), 0
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.step(opcode.name, argument)
            steps += 1
            if steps > MOST_STEPS:
                raise PickleError(f"has more than {MOST_STEPS:,} pickle instructions")
        (value,) = machine.stack
    except PickleError:
        raise
    except RecursionError:
        raise PickleError("is nested too deeply") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError):
        raise PickleError("is damaged" if file.read(1) else "is cut off") from None
    return value
