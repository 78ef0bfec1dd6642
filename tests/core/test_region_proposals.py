from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core.region_proposals import (
    Proposals,
    RegionProposals,
    anchor_targets,
    box_iou,
    moved,
    offsets_to,
    proposal_loss,
    suppressed,
)

BOXES = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 1.0, 1.0]])


def test_overlap_is_the_area_of_both_over_that_of_either():
    expected = torch.tensor([[1.0, 1 / 7, 0.0], [1 / 7, 1.0, 1 / 7], [0.0, 1 / 7, 1.0]])
    torch.testing.assert_close(box_iou(BOXES, BOXES), expected)
    empty = torch.tensor([[0.3, 0.3, 0.3, 0.3]])
    assert box_iou(empty, BOXES).tolist() == [[0.0, 0.0, 0.0]]
    assert box_iou(empty, empty).item() == 0


def test_overlap_equals_a_count_of_pixels():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 20, (8, 2, 2)), axis=1).reshape(8, 4)
    grids = np.zeros((8, 20, 20), bool)
    for grid, (x0, y0, x1, y1) in zip(grids, corners, strict=True):
        grid[y0:y1, x0:x1] = True
    found = box_iou(torch.from_numpy(corners / 20.0), torch.from_numpy(corners / 20.0))
    for i in range(8):
        for j in range(8):
            either = (grids[i] | grids[j]).sum()
            expected = (grids[i] & grids[j]).sum() / either if either else 0.0
            assert found[i, j].item() == pytest.approx(expected)


def test_anchors_are_squares_around_the_centres_of_positions():
    anchors = RegionProposals(4, (0.5, 0.25)).anchors(1, 2, torch.zeros(()))
    expected = [
        [0.0, 0.25, 0.5, 0.75],
        [0.125, 0.375, 0.375, 0.625],
        [0.5, 0.25, 1.0, 0.75],
        [0.625, 0.375, 0.875, 0.625],
    ]
    torch.testing.assert_close(anchors, torch.tensor(expected))


def test_offsets_of_a_box_move_its_anchor_to_it():
    anchors = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.2, 0.4, 0.6, 0.6]])
    boxes = torch.tensor([[0.25, 0.0, 0.5, 1.0], [0.1, 0.1, 0.3, 0.9]])
    offsets = offsets_to(anchors, boxes)
    expected = [0.25, 0.5, float(np.log(0.5)), float(np.log(2))]
    torch.testing.assert_close(offsets[0], torch.tensor(expected))
    torch.testing.assert_close(moved(anchors, offsets), boxes)


def test_outputs_of_a_position_belong_to_its_anchors():
    torch.manual_seed(0)
    model, maps = RegionProposals(4, (0.5, 0.25)), torch.randn(2, 4, 3, 2)
    found = model(maps)
    out = model.output(model.conv(maps).relu())
    assert found.anchors.shape == (12, 4)
    # Row 2, column 1, second size: (2 * 2 + 1) * 2 + 1.
    torch.testing.assert_close(found.logits[1, 11], out[1, 5, 2, 1])
    torch.testing.assert_close(found.offsets[1, 11], out[1, 6:10, 2, 1])
    assert found.boxes().min() >= 0
    assert found.boxes().max() <= 1


def test_a_box_hides_weaker_boxes_that_overlap_it():
    boxes = torch.tensor(
        [[0.0, 0.0, 0.4, 0.4], [0.0, 0.0, 0.4, 0.5], [0.6, 0.6, 1.0, 1.0], [0.0, 0.1, 0.4, 0.5]]
    )
    scores = torch.tensor([0.7, 0.9, 0.2, 0.8])
    # Overlaps with box 1: 0.8 of box 0, 0 of box 2, 0.8 of box 3.
    assert suppressed(boxes, scores, iou=0.5, most=4).tolist() == [1, 2]
    assert suppressed(boxes, scores, iou=0.85, most=4).tolist() == [1, 3, 0, 2]
    assert suppressed(boxes, scores, iou=0.85, most=2).tolist() == [1, 3]
    assert suppressed(boxes[:0], scores[:0], iou=0.5, most=2).tolist() == []


def test_anchors_match_boxes_above_half_or_the_best_of_a_box():
    anchors = torch.tensor(
        [
            [0.0, 0.0, 0.4, 0.4],  # equals box 0
            [0.0, 0.0, 0.4, 0.2],  # half of box 0
            [0.0, 0.0, 0.4, 0.16],  # 0.4 of box 0: in between
            [0.6, 0.6, 0.8, 0.8],  # a quarter of box 1, yet the best of it
            [0.0, 0.8, 0.1, 0.9],  # nothing
        ]
    )
    boxes = torch.tensor([[[0.0, 0.0, 0.4, 0.4], [0.6, 0.6, 1.0, 1.0], [0.0, 0.8, 0.1, 0.9]]])
    real = torch.tensor([[True, True, False]])
    target, index = anchor_targets(anchors, boxes, real)
    assert target.tolist() == [[1, 1, -1, 1, 0]]
    assert index[0, :4].tolist() == [0, 0, 0, 1]
    assert anchor_targets(anchors, boxes, torch.ones(1, 3, dtype=torch.bool))[0][0, 4] == 1
    assert anchor_targets(anchors, boxes, ~torch.ones(1, 3, dtype=torch.bool))[0].max() == 0


def test_the_loss_weights_both_kinds_of_anchors_equally():
    anchors = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.6, 0.6, 0.7, 0.7]])
    boxes = torch.tensor([[[0.0, 0.0, 0.4, 0.4]]])
    real = torch.tensor([[True]])
    logits, offsets = torch.tensor([[2.0, -1.0, 0.5]]), torch.zeros(1, 3, 4)
    offsets[0, 0] = torch.tensor([0.5, 0.0, 0.0, 0.0])
    found = proposal_loss(Proposals(logits, offsets, anchors), boxes, real)
    costs = torch.log1p(torch.exp(torch.tensor([-2.0, -1.0, 0.5])))
    expected = costs[0] / 2 + costs[1:].mean() / 2 + 0.5 * 0.5**2 / 4
    torch.testing.assert_close(found, expected)
    none = proposal_loss(Proposals(logits, offsets, anchors), boxes, ~real)
    torch.testing.assert_close(none, torch.log1p(torch.exp(logits)).mean() / 2)


def test_sizes_are_positive():
    with pytest.raises(ValueError, match="not positive numbers"):
        RegionProposals(4, ())
