"""A PyTorch device that computes on the CPU but enforces CUDA's rules, for machines without a GPU.

Its tensors report the device `gpu:0`. It refuses operands on different devices and `numpy()`, fused Adam checks
strides, and division by a number multiplies by its reciprocal. Optionally, products and convolutions round differently
from the CPU. It counts kernels and host synchronisations, each with the line of `engine/` that caused it.

It does not model missing or slow kernels, memory, streams or graph capture. The backend's name is global and permanent,
so use it in a separate process.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

NAME = "gpu"
DEVICE_INDEX = 0

_FETCHES = {"_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal", "_unique2", "unique_dim"}
"""Operations whose result, or its shape, is needed on the host."""
_TRANSFERS = {"copy_", "_to_copy", "_copy_from", "set_"}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
_TAKES_SCALARS = {"where", "fill_", "full_like", "clamp", "lerp", "lerp_", "_foreach_mul_", "_foreach_add_"}
"""Operations, besides those that PyTorch tags as pointwise, that accept a 0-dimensional CPU tensor as a number."""
_RESHAPES = {"view", "reshape", "_unsafe_view", "_reshape_alias", "detach", "alias"}
_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution"}

Place = tuple[str, str]
"""An operation, and the file and line of the engine that caused it."""


class MixedDevices(RuntimeError):
    """An operation that CUDA would refuse, because its operands are on different devices."""


@dataclass
class Counts:
    """Work of the device since the last reset."""

    kernels: Counter[str] = field(default_factory=Counter)
    waits: Counter[Place] = field(default_factory=Counter)
    """Number of times the host waited for the device, to read from it or to copy pageable memory to it."""

    def reset(self) -> None:
        """Set all counts to zero."""
        self.kernels.clear()
        self.waits.clear()


COUNTS = Counts()


def available() -> bool:
    """Whether this version of PyTorch has the private hook for devices written in Python."""
    try:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend  # noqa: F401
    except ImportError:
        return False
    return True


def _place() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/engine/" in name:
            return f"{name[name.rindex('/engine/') + 1 :]}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "?"


class Remote(torch.Tensor):
    """A tensor on the device; its values are in `held`, on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor, requires_grad: bool = False) -> Remote:
        """Wrap `held`, which must not be a Remote itself."""
        assert not isinstance(held, Remote)
        made: Remote = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, DEVICE_INDEX),
            requires_grad=requires_grad,
        )
        made.held = held
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        """Needed for modules to change the precision of their weights in place."""
        return ["held"], None

    @classmethod
    def __tensor_unflatten__(cls, inner: dict[str, torch.Tensor], *_: Any) -> Remote:
        """The inverse of `__tensor_flatten__`."""
        return cls(inner["held"])

    def tolist(self) -> Any:
        """The values as numbers on the host, which has to wait for them."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Refused, as on CUDA."""
        raise TypeError("can't convert a tensor on gpu:0 to numpy: copy it to host memory first")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert a tensor on gpu:0 to numpy: copy it to host memory first")

    def __repr__(self, *, tensor_contents: Any = None) -> Any:  # type: ignore[override]
        return f"Remote({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            # In inference mode these are not decomposed; a GPU would get their parts.
            parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        return _run(func, args, kwargs)


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return any(each.alias_info is not None and not each.alias_info.is_write for each in returns)


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    name = func._schema.name.split("::")[1]
    flat, spec = tree_flatten((args, kwargs))
    device = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    _check(func, name, args, flat)
    _count(func, name, args, device)
    return _wrapped(func, name, args, flat, _computed(func, name, spec, flat, device), device)


def _check(func: Any, name: str, args: Any, flat: list[Any]) -> None:
    """Check CUDA's rules for operands on different devices; raises MixedDevices."""
    remotes = [each for each in flat if isinstance(each, Remote)]
    locals_ = [each for each in flat if isinstance(each, torch.Tensor) and not isinstance(each, Remote)]
    if name in _INDEXING:
        if not isinstance(args[0], Remote):
            raise MixedDevices(f"{func} at {_place()}: the indices are on the GPU, the indexed tensor is not")
        if len(args) > 2 and args[2].dim() and not isinstance(args[2], Remote):
            raise MixedDevices(f"{func} at {_place()}: the values are on the CPU")
    elif locals_ and remotes and name not in _TRANSFERS:
        scalars = torch.Tag.pointwise in func.tags or name in _TAKES_SCALARS
        if any(each.dim() > 0 or not scalars for each in locals_):
            raise MixedDevices(f"{func} at {_place()}: operands on the GPU and on the CPU")
        written = (
            value
            for argument, value in zip(func._schema.arguments, args, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write
        )
        if any(isinstance(each, torch.Tensor) and not isinstance(each, Remote) for each in written):
            raise MixedDevices(f"{func} at {_place()}: the result is on the CPU, the operands are not")
    if name == "_fused_adam_":
        _check_adam(args)


def _check_adam(args: Any) -> None:
    for group in zip(*args[:4], strict=True):
        first = group[0]
        for other in group[1:]:
            strides = zip(first.shape, first.stride(), other.stride(), strict=True)
            if first.shape != other.shape or any(size > 1 and one != two for size, one, two in strides):
                raise MixedDevices(f"fused Adam: {first.stride()} and {other.stride()} are two layouts of one tensor")
    if not all(isinstance(step, Remote) for step in args[5]):
        raise MixedDevices("fused Adam: the steps are on the CPU")


def _count(func: Any, name: str, args: Any, device: torch.device | None) -> None:
    waits = COUNTS.waits
    if name in _FETCHES:
        waits[name, _place()] += 1
    if name in _INDEXING:
        for index in args[1]:
            if isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8):
                waits["mask", _place()] += 1
            if isinstance(index, torch.Tensor) and not isinstance(index, Remote):
                waits["index from the CPU", _place()] += 1
    if name == "copy_" and isinstance(args[0], Remote) != isinstance(args[1], Remote):
        waits["copy to the GPU" if isinstance(args[0], Remote) else "copy to the CPU", _place()] += 1
    if name == "_to_copy":
        source = isinstance(args[0], Remote)
        target = device.type == NAME if device is not None else source
        if source != target:
            waits["copy to the GPU" if target else "copy to the CPU", _place()] += 1
    if not _is_view(func) and name not in _RESHAPES:
        COUNTS.kernels[str(func).removeprefix("aten.")] += 1


ROUNDING = False
"""Whether products and convolutions differ from the CPU's in the last bits, as on a GPU."""


@cache
def _rounding(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Factors of 1, or of 1 with the last bit changed up or down."""
    signs = torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(len(shape)))
    return 1 + signs.to(dtype) * torch.finfo(dtype).eps


def _computed(func: Any, name: str, spec: Any, flat: list[Any], device: torch.device | None) -> Any:
    args, kwargs = tree_unflatten([each.held if isinstance(each, Remote) else each for each in flat], spec)
    if device is not None and device.type == NAME:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if "pin_memory" in kwargs:
        kwargs = {**kwargs, "pin_memory": None}
    if name in ("div", "div_") and len(args) == 2 and not kwargs and args[0].is_floating_point():
        divisor = args[1]
        number = not isinstance(divisor, torch.Tensor) or (not divisor.dim() and not isinstance(flat[1], Remote))
        if number:  # CUDA multiplies by its reciprocal
            inverse = torch.ones((), dtype=args[0].dtype) / torch.as_tensor(divisor).to(args[0].dtype)
            return args[0].mul_(inverse) if name == "div_" else args[0] * inverse
    made = func(*args, **kwargs)
    if ROUNDING and name in _PRODUCTS and made.is_floating_point():
        made.mul_(_rounding(tuple(made.shape), made.dtype))
    return made


def _wrapped(  # noqa: PLR0917
    func: Any, name: str, args: Any, flat: list[Any], made: Any, device: torch.device | None
) -> Any:
    """The result of `func`, with tensors on the device unless they were requested on the CPU."""
    remotes = [each for each in flat if isinstance(each, Remote)]
    back = {id(each.held): each for each in remotes}
    own = {id(each) for each in flat if isinstance(each, torch.Tensor) and not isinstance(each, Remote)}
    viewed = (_is_view(func) or name == "detach") and remotes and not remotes[0].is_inference()

    def wrap(value: torch.Tensor) -> torch.Tensor:
        if id(value) in back:
            known = back[id(value)]
            assert known.shape == value.shape, f"{func} resized its argument"
            return known
        if id(value) in own or name == "_local_scalar_dense" or (device is not None and device.type == "cpu"):
            return value
        if name == "_to_copy" and device is None and not isinstance(args[0], Remote):
            return value
        if name == "copy_":
            return args[0]  # type: ignore[no-any-return]
        if viewed and torch.is_inference_mode_enabled():
            with torch.inference_mode(False):  # a view of a normal tensor must not be an inference tensor
                return Remote(value)
        return Remote(value)

    return tree_map_only(torch.Tensor, wrap, made)


def _factories() -> Iterator[tuple[str, Any]]:
    """The operations that create tensors without tensor arguments, by qualified name."""
    unfit = ("_cudnn", "_efficientzerotensor", "sparse", "_nested", "quantized", "per_channel", "per_tensor")
    for full in torch._C._dispatch_get_all_op_names():
        if not full.startswith("aten::") or any(word in full for word in unfit):
            continue
        base, _, overload = full[6:].partition(".")
        try:
            found = getattr(getattr(torch.ops.aten, base), overload or "default")
        except (AttributeError, RuntimeError):
            continue
        returns, arguments = found._schema.returns, found._schema.arguments
        makes_one = len(returns) == 1 and "Tensor" in str(returns[0].type)
        takes_none = not any("Tensor" in str(each.type) for each in arguments)
        if makes_one and takes_none and any(each.name == "device" for each in arguments):
            yield full[6:], found


class _Module:
    """The interface that PyTorch expects of `torch.gpu`."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return DEVICE_INDEX

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """Does nothing, since no random numbers are drawn on the device."""

    def _lazy_init(self) -> None:
        """Does nothing."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return []


_kept: list[Any] = []
"""References to libraries, whose kernels exist only as long as they do."""


def install() -> torch.device:
    """Register the device permanently; call this once per process."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]

    def kernel(operation: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: _run(operation, args, kwargs)

    for qualified, operation in _factories():
        library.impl(qualified, kernel(operation), "PrivateUse1")  # type: ignore[no-untyped-call]

    def copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        held = source.held if isinstance(source, Remote) else source
        (target.held if isinstance(target, Remote) else target).copy_(held)
        return target

    library.impl("_copy_from", copy_from, "PrivateUse1")  # type: ignore[no-untyped-call]
    _kept.append(library)
    return torch.device(NAME, DEVICE_INDEX)


def take_the_place_of_cuda(gpu: torch.device) -> None:
    """Make the engine choose `gpu` for every name but `cpu`. Call this before the rest of the engine is imported."""
    import engine.network.devices

    def choose(name: str) -> torch.device:
        return torch.device("cpu") if name == "cpu" else gpu

    engine.network.devices.choose_device = choose
