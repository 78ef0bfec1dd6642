"""Predictions of whole windows, batch after batch: probabilities of peaks, and amounts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from danq._memory import kept_memory
from danq.bounded_queue import read_ahead
from danq.device import autocast, memory_errors, set_threads
from danq.genome.nucleotide_codes import N
from danq.gpu import accelerate
from danq.inference.engine.device_genome import reverse_complement, to_device
from danq.inference.engine.genome_windows import GenomeWindows
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.engine.shared_convolution import SharedConvolution, shares_convolution
from danq.inference.engine.transfer import transfer_for
from danq.models.run_options import RunOptions
from danq.models.targets import TargetGroup, profiles, reverse_tracks, track_values
from danq.progress import stage

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

M = TypeVar("M", bound=nn.Module)

Windows = UInt8[np.ndarray, "B L"] | UInt8[Tensor, "B L"] | OverlappingWindows
"""Codes of windows, on the host or on the device of the model."""


def evaluation_copy(module: M, device: torch.device) -> M:
    """A copy of a module on a device, in evaluation mode; the module does not change.

    Where all parameters and buffers are on the device, the copy shares them, so it takes no
    memory for weights. Otherwise it has its own. Hooks are shared: forward hooks of the module and
    its layers run in the copy, and receive the layers of the copy.
    """
    device = torch.empty(0, device=device).device  # with its index
    tensors = [*module.parameters(), *module.buffers()]
    on_device = all(tensor.device == device for tensor in tensors)
    shared: list[object] = list(tensors) if on_device else []
    for layer in module.modules():
        # Copies of hooks would act on copies of their objects, and outputs that a layer keeps as
        # attributes cannot be copied.
        shared += [
            value
            for name, value in vars(layer).items()
            if "_hooks" in name or isinstance(value, torch.Tensor)
        ]
    copied = copy.deepcopy(module, {id(value): value for value in shared}).eval()
    return copied if on_device else copied.to(device)


def _convert_dense_weights(copied: nn.Module) -> None:
    """Convert dense weights to bfloat16 once; autocast would do so for every batch."""
    for layer in copied.modules():
        # A weight that a parametrization computes is not a parameter of the layer.
        if isinstance(layer, nn.Linear) and "weight" in layer._parameters:
            weight = layer.weight.detach().to(torch.bfloat16)
            layer.weight = nn.Parameter(weight, requires_grad=False)


def predict_codes(
    module: nn.Module,
    codes: UInt8[np.ndarray, "B L"],
    options: RunOptions | None = None,
    targets: Sequence[TargetGroup] = (),
) -> Float32[np.ndarray, "B K"]:
    """Probabilities or amounts of all tracks for all windows.

    Parameters
    ----------
    module
        Maps codes ``(B, L)`` to logits ``(B, K)``, or to the outputs of ``targets``.
    codes
        Windows; any number of them.
    options
        How the model runs; None selects the defaults. ``tolerance`` does not apply.
    targets
        Groups of the tracks; none if every output is the logit of a track.

    Raises
    ------
    InputError
        When the device has not enough memory for a batch.
    """
    options = options or RunOptions()
    blocks = (codes[batch] for batch in _batches(len(codes), options))
    done = [values.copy() for values in predict_blocks(module, blocks, options, None, targets)]
    if not done:
        count = sum(group.tracks for group in targets) or _outputs(module)
        return np.empty((0, count), np.float32)
    return np.concatenate(done)


def predict_blocks(
    module: nn.Module,
    blocks: Iterable[Windows],
    options: RunOptions | None = None,
    tracks: Sequence[int] | None = None,
    targets: Sequence[TargetGroup] = (),
    *,
    steps: bool = False,
    largest: int = 0,
) -> Generator[Float32[np.ndarray, "B K"], None, None]:
    """`predict_codes` for a stream of batches, whose size is up to the caller.

    On a GPU, up to two more batches are computed before the results of a batch are yielded.

    The last bits of a result may depend on the size of its batch. On a GPU, a batch is filled up to
    the size of the largest batch before it.

    Parameters
    ----------
    module, options, targets
        As for `predict_codes`.
    blocks
        Batches, on the host or on the device.
    tracks
        Indices of the selected tracks, in that order; None selects all.
    steps
        Add a column for each step of the selected tracks with profiles, in the order of the forward
        strand, track after track.

    Yields
    ------
    np.ndarray
        Probabilities or amounts of a batch. On a GPU, they are in pinned memory: copy what is to be
        kept.

    Raises
    ------
    InputError
        As `predict_codes`.
    """
    options = options or RunOptions()
    selected = None if tracks is None else torch.tensor(tracks, device=options.torch_device)

    def values(outputs: Tensor, *, reverse: bool) -> Tensor:
        if targets:
            found = track_values(outputs, targets, reverse=reverse)
        else:
            found = torch.sigmoid(outputs)
        if selected is not None:
            found = found.index_select(1, selected)
        if not steps:
            return found
        return torch.cat([found, *_steps(outputs, targets, tracks, reverse=reverse)], dim=1)

    def means(outputs: list[Tensor]) -> Tensor:
        mean = values(outputs[0], reverse=False)
        return mean if len(outputs) == 1 else (mean + values(outputs[1], reverse=True)) / 2

    return _run(module, blocks, options, means, largest)


def _steps(
    outputs: Tensor,
    targets: Sequence[TargetGroup],
    tracks: Sequence[int] | None,
    *,
    reverse: bool,
) -> list[Float32[Tensor, "B S"]]:
    """Amounts of the steps of each selected track with a profile."""
    first = sum(group.tracks for group in targets if group.loss != "profile")
    each = [track for group in profiles(outputs, targets) for track in group.unbind(1)]
    chosen = range(first, first + len(each)) if tracks is None else tracks
    order = reverse_tracks(targets) if reverse else ()
    found = [each[(order[track] if order else track) - first] for track in chosen if track >= first]
    return [one.flip(1) for one in found] if reverse else found


def predict_dataset(
    module: nn.Module,
    dataset: Dataset,
    indices: np.ndarray,
    options: RunOptions | None = None,
    targets: Sequence[TargetGroup] = (),
) -> Float32[np.ndarray, "N K"]:
    """`predict_codes` for windows of a dataset, in the order of ``indices``."""
    options = options or RunOptions()
    out = np.empty((len(indices), len(dataset.tracks)), np.float32)
    batches = _batches(len(indices), options)
    with _dataset_windows(dataset, indices, batches, options) as blocks:
        results = predict_blocks(module, blocks, options, None, targets)
        with stage("predicting", "windows", len(indices)) as now:
            for batch, result in zip(batches, results, strict=True):
                out[batch] = result
                now.add(len(result))
    return out


def dataset_outputs(
    module: nn.Module,
    dataset: Dataset,
    indices: np.ndarray,
    options: RunOptions | None = None,
) -> Float32[np.ndarray, "S N O"]:
    """Outputs for windows of a dataset: of the forward strand, then of the other if it is used.

    Raises
    ------
    InputError
        As `predict_codes`.
    """
    options = options or RunOptions()
    strands = 2 if options.strand == "both" else 1
    out = np.empty((strands, len(indices), _outputs(module)), np.float32)
    batches = _batches(len(indices), options)
    with _dataset_windows(dataset, indices, batches, options) as blocks:
        results = _run(module, blocks, options, torch.stack)
        with stage("predicting", "windows", len(indices)) as now:
            for batch, result in zip(batches, results, strict=True):
                out[:, batch] = result
                now.add(result.shape[1])
    return out


def _outputs(module: nn.Module) -> int:
    return int(module.head.out_features)  # type: ignore[union-attr]


@contextmanager
def _dataset_windows(
    dataset: Dataset, indices: np.ndarray, batches: Sequence[slice], options: RunOptions
) -> Iterator[Iterator[Windows]]:
    """Windows of a dataset, read ahead."""
    device, window = options.torch_device, dataset.window
    windows = GenomeWindows(dataset.genome, device, window, len(indices))
    blocks = (windows.read(*dataset.positions(indices[batch])) for batch in batches)
    with read_ahead(blocks) as ready:
        yield map(windows.load, ready)


def _run(
    module: nn.Module,
    blocks: Iterable[Windows],
    options: RunOptions,
    combine: Callable[[list[Tensor]], Tensor],
    largest: int = 0,
) -> Generator[np.ndarray, None, None]:
    """Results of batches; ``combine`` makes a batch's from the logits of one strand or two."""
    device, precision = options.torch_device, options.resolved_precision
    transfer = transfer_for(device)

    def outputs(block: Windows) -> list[Tensor]:
        if isinstance(block, OverlappingWindows):
            if shared is not None:
                both = (
                    [block] if options.strand == "forward" else [block, block.reverse_complement()]
                )
                return [shared(one).float() for one in both]
            block = block.cut()
        codes = block if isinstance(block, Tensor) else to_device(block, device)
        if not transfer.large_batches:
            return [ready(strand).float() for strand in _strands(codes, options)]
        strands = _strands(_padded(codes, largest), options)
        return list(ready(torch.cat(strands)).float().chunk(len(strands)))

    def compute(block: Windows) -> Tensor:
        nonlocal largest
        windows, largest = len(block), max(largest, len(block))
        # Not around the yield: the consumer of the stream may need gradients.
        with memory_errors(windows), torch.inference_mode(), autocast(device, precision):
            return combine([one[:windows] for one in outputs(block)])

    with kept_memory(), memory_errors():
        ready = prepared(module, options)
        shared = None
        if device.type == "cpu" and shares_convolution(ready):
            shared = SharedConvolution(evaluation_copy(ready, device))  # type: ignore[arg-type]
        with closing(transfer.run(blocks, compute)) as results:
            yield from results


def prepared(module: nn.Module, options: RunOptions) -> nn.Module:
    """The module as the options run it."""
    if options.threads is not None:
        set_threads(options.threads)
    device, precision = options.torch_device, options.resolved_precision
    copied = evaluation_copy(module, device)
    ready = accelerate(copied, device, precision)
    if ready is copied and precision == "bf16":
        _convert_dense_weights(copied)
    return ready


def _batches(windows: int, options: RunOptions) -> list[slice]:
    size = options.windows_per_batch
    return [slice(start, start + size) for start in range(0, windows, size)]


def _padded(codes: UInt8[Tensor, "B L"], windows: int) -> UInt8[Tensor, "N L"]:
    """Windows of unknown bases are added up to a number of windows."""
    missing = windows - len(codes)
    return torch.cat([codes, codes.new_full((missing, codes.shape[1]), N)]) if missing else codes


def _strands(codes: UInt8[Tensor, "B L"], options: RunOptions) -> list[UInt8[Tensor, "B L"]]:
    """The windows and, if both strands are requested, their reverse complements."""
    return [codes] if options.strand == "forward" else [codes, reverse_complement(codes)]
