"""Random views keep their place, their range and their chance; mixing keeps targets a distribution."""

import pytest
import torch

from training.augmentation import AugmentConfig, mixed, randaugmented, random_views

STILL = AugmentConfig.none()


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


def _frames(count=16, height=30, width=40):
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=_rng(99))


def test_views_are_square_within_range_and_repeat_with_their_generator():
    frames = _frames()
    first = random_views(frames, 24, AugmentConfig(), _rng(1))
    assert first.shape == (16, 3, 24, 24) and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, random_views(frames, 24, AugmentConfig(), _rng(1)))
    assert not torch.equal(first, random_views(frames, 24, AugmentConfig(), _rng(2)))


def test_without_change_a_square_frame_is_only_turned_or_mirrored():
    frames = _frames(count=64, height=32, width=32)
    seen = random_views(frames, 32, STILL, _rng())
    wanted = frames.permute(0, 3, 1, 2) / 255.0
    kinds = set()
    for view, picture in zip(seen, wanted, strict=True):
        turns = {(k, m): (picture.flip(2) if m else picture).rot90(k, (1, 2)) for k in range(4) for m in (0, 1)}
        found = [name for name, turn in turns.items() if torch.allclose(turn, view, atol=1e-4)]
        assert len(found) == 1
        kinds.add(found[0])
    assert len(kinds) == 8


def test_the_whole_frame_can_be_squeezed_in():
    frame = torch.zeros(1, 30, 40, 3, dtype=torch.uint8)
    frame[:, :, :2], frame[:, :, -2:] = 255, 255  # both ends of the long side
    config = AugmentConfig(**{f: getattr(STILL, f) for f in STILL.__dataclass_fields__} | {"squeeze": (4 / 3, 4 / 3)})
    view = random_views(frame, 40, config, _rng())[0, 0]
    edges = (view[0].mean(), view[-1].mean(), view[:, 0].mean(), view[:, -1].mean())
    assert sum(edge > 0.9 for edge in edges) == 2


def test_a_round_spot_stays_in_the_middle_under_turns_alone():
    frame = torch.zeros(8, 31, 31, 3, dtype=torch.uint8)
    frame[:, 13:18, 13:18] = 255
    turning = AugmentConfig(**{f: getattr(STILL, f) for f in STILL.__dataclass_fields__} | {"rotation_degrees": 45})
    view = random_views(frame, 31, turning, _rng())
    assert (view[:, :, 14:17, 14:17] > 0.9).all() and view[:, :, :6].max() < 0.01


@pytest.mark.parametrize("probabilities", [(1.0, 0.0), (0.0, 1.0)])
def test_mixing_shares_targets_as_it_shares_pixels(probabilities):
    config = AugmentConfig(mixup_probability=probabilities[0], cutmix_probability=probabilities[1])
    pictures = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 32, 32)
    targets = torch.eye(4)
    for seed in range(10):
        seen, shared = mixed(pictures, targets, config, _rng(seed))
        torch.testing.assert_close(shared.sum(1), torch.ones(4))
        assert (shared.max(1).values >= 0.5 - 1e-6).all()
        # The mean pixel of a picture is the mean of its sources, in the shares of the target.
        torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), shared @ torch.arange(4.0), atol=1e-4, rtol=0)


def test_no_mixing_leaves_all_as_it_is():
    pictures, targets = torch.rand(4, 3, 8, 8), torch.eye(4)
    seen, shared = mixed(pictures, targets, STILL, _rng())
    assert seen is pictures and shared is targets


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="min_scale"):
        AugmentConfig(min_scale=0)
    with pytest.raises(ValueError, match="exceed 1"):
        AugmentConfig(mixup_probability=0.7, cutmix_probability=0.7)


def test_randaugment_changes_frames_by_the_seed_alone_and_only_when_asked():
    frames = _frames(count=6)
    assert randaugmented(frames, AugmentConfig()) is frames
    strong = AugmentConfig(randaugment_ops=2, randaugment_magnitude=15)
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(randaugmented(frames, strong))
    assert seen[0].dtype == torch.uint8 and seen[0].shape == frames.shape
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])
    with pytest.raises(ValueError, match="randaugment"):
        AugmentConfig(randaugment_magnitude=31)
