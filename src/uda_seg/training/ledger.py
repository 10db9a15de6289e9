"""Which storages of tensors live while a step runs on fake ones, and how many bytes they hold."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten


class Ledger(TorchDispatchMode):
    """Bytes of the storages that live, and the most there ever were.

    Operations whose result's shape hangs on values, which fake tensors lack, get the largest one,
    and single values are made up.

    Args:
        on_cpu: whether convolutions are oneDNN's, whose own copies count too.
    """

    def __init__(self, on_cpu: bool = False) -> None:
        super().__init__()
        self.on_cpu = on_cpu
        self.live = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.add.Tensor and _sums_gradients(*args[:2]):
            return args[0]
        stand_in = STAND_INS.get(func)
        result = NotImplemented if stand_in is None else stand_in(*args, **(kwargs or {}))
        if result is NotImplemented:
            result = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self.enter, result)
        if self.on_cpu and func in CONVOLUTIONS:
            self.most = max(self.most, self.live + CONVOLUTIONS[func](*args))
        return result

    def enter(self, tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided:
            return tensor
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.live += size
            self.most = max(self.most, self.live)
            weakref.finalize(storage, self.leave, key, size)
        return tensor

    def leave(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def _sums_gradients(first: Any, second: Any) -> bool:
    """Whether it is autograd that adds two gradients: in place, but for modes such as these."""
    going_back = torch._C._current_graph_task_id() != -1 and not torch.is_grad_enabled()
    return going_back and isinstance(second, Tensor) and first.shape == second.shape


def _scalar(tensor: Tensor) -> float | bool | int:
    return 0.5 if tensor.is_floating_point() else tensor.dtype is torch.bool or 1


def _chosen(tensor: Tensor, indices: list[Tensor | None]) -> Any:
    """All that a mask could choose."""
    mask = indices[0]
    if len(indices) != 1 or mask is None or mask.dtype not in (torch.bool, torch.uint8):
        return NotImplemented
    return tensor.new_empty((mask.numel(), *tensor.shape[mask.dim() :]))


def _distinct(tensor: Tensor, *_: Any, **__: Any) -> tuple[Tensor, ...]:
    return tensor.new_empty(tensor.numel()), *(
        tensor.new_empty(tensor.numel(), dtype=torch.long) for _ in range(2)
    )


def _recurrent_layer(entries: Tensor, *rest: Any) -> Any:
    """With the workspace that is kept for the way back, which fake ones lack: as large as 16 times
    the answers, as oneDNN has it.
    """
    *found, _ = aten.mkldnn_rnn_layer.default(entries, *rest)
    return *found, entries.new_empty(16 * found[0].numel())


def _copies_forward(image: Tensor, weight: Tensor, *_: Any) -> int:
    """Bytes of oneDNN's copies in its own order: of the weights, and of what lies otherwise."""
    return _as_onednn_wants(image, weight) + _size(weight)


def _copies_backward(gradient: Tensor, image: Tensor, weight: Tensor, *rest: Any) -> int:
    """The same, and the weights' gradient in its order, which is then turned once or twice."""
    turned = 1 + any(map(_last, (image, weight)))
    return _as_onednn_wants(image, weight, gradient) + turned * rest[-1][1] * _size(weight)


def _as_onednn_wants(image: Tensor, weight: Tensor, *others: Tensor) -> int:
    """Bytes of copies of those that lie otherwise than the one whose channels come last."""
    order = torch.channels_last if _last(image) or _last(weight) else torch.contiguous_format
    given = (image, weight, *others)
    return sum(_size(one) for one in given if not one.is_contiguous(memory_format=order))


def _last(maps: Tensor) -> bool:
    """Whether channels come last, and not in either order, as those of a single pixel do."""
    only = maps.dim() == 4 and not maps.is_contiguous()
    return only and maps.is_contiguous(memory_format=torch.channels_last)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


CONVOLUTIONS: dict[Any, Callable[..., int]] = {
    aten.convolution.default: _copies_forward,
    aten.convolution_backward.default: _copies_backward,
}
STAND_INS: dict[Any, Callable[..., Any]] = {
    aten._local_scalar_dense.default: _scalar,
    aten.index.Tensor: _chosen,
    aten.nonzero.default: lambda t: t.new_empty((t.numel(), t.dim()), dtype=torch.long),
    aten.masked_select.default: lambda tensor, mask: tensor.new_empty(mask.numel()),
    aten._unique2.default: _distinct,
    aten.bincount.default: lambda tensor, weights=None, minlength=0: tensor.new_empty(
        max(minlength, 1), dtype=torch.long if weights is None else weights.dtype
    ),
    aten.equal.default: lambda *_: True,
    aten.mkldnn_rnn_layer.default: _recurrent_layer,
}
