"""Views: which ones there are, that they follow the seed and nothing else, and that the default recipe has them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn

from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.parameterizations import Canvas, fourier
from lightning_vis.maximization.presets import Recipe, adam, default_recipe
from lightning_vis.maximization.transforms import jitter, pad, resized_views, roll, rotate, scale

WAYS = {
    "jitter": jitter(2),
    "roll": roll(2),
    "scale": scale([0.5, 1.0, 1.5, 2.0]),
    "rotate": rotate([-20, 0, 10, 45]),
}


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("distance", [1, 2])
def test_roll_reaches_every_shift_and_what_leaves_comes_back_on_the_other_side(distance):
    image, (height, width) = images(1, size=7)[..., :5], (7, 5)
    seen = set()
    for seed in range(300):
        rolled = roll(distance)(image, generator(seed))
        places = {
            (down, right)
            for down in range(-distance, distance + 1)
            for right in range(-distance, distance + 1)
            if all(
                torch.equal(rolled[..., y, x], image[..., (y - down) % height, (x - right) % width])
                for y in range(height)
                for x in (0, width - 1)
            )
        }
        assert len(places) == 1
        seen |= places
    assert len(seen) == (2 * distance + 1) ** 2


@pytest.mark.parametrize("way", WAYS)
def test_a_view_follows_from_the_generator_and_is_the_same_for_all_rows(way):
    transform, batch = WAYS[way], images(3)
    views = [transform(batch, generator(seed)) for seed in range(12)]
    torch.rand(3)  # the global stream has nothing to do with it
    for seed, view in enumerate(views):
        assert torch.equal(view, transform(batch, generator(seed)))
        for row in range(3):
            torch.testing.assert_close(transform(batch[row : row + 1], generator(seed))[0], view[row])
    assert len({(view.shape, tuple(view.flatten().tolist())) for view in views}) > 1


PICTURE = torch.rand(1, 3, 8, 8, generator=generator(7))


def resting(subject, _):
    """A canvas that knows no seed."""
    return Canvas(PICTURE.clone(), lambda values: values)


def values_on_the_way(seed, transforms, steps=24):
    """The objective at each step of a maximization that moves nothing but the view: its rate is 0."""
    model = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Tanh())
    with torch.no_grad():
        model[0].weight.copy_(images(2, size=8, seed=4) * 0.2)
        model[0].bias.zero_()
    recipe = Recipe(resting, lambda height, width: transforms, adam(0.0), steps=steps)
    return maximize(model, "1", 1, torch.rand(2, 3, 8, 8), preset=recipe, seed=seed).history[:, 0].tolist(), model


def test_the_views_of_a_maximization_follow_its_seed():
    moved = (roll(2),)
    first, model = values_on_the_way(0, moved)
    assert first == values_on_the_way(0, moved)[0]
    others = [values_on_the_way(seed, moved)[0] for seed in range(1, 4)]
    assert all(first != other for other in others)
    with torch.no_grad():
        known = [model(PICTURE.roll((y, x), (2, 3)))[0, 0].item() for y in range(-2, 3) for x in range(-2, 3)]
    for values in (first, *others):
        nearest = [min(range(25), key=lambda at, value=value: abs(known[at] - value)) for value in values]
        assert values == pytest.approx([known[at] for at in nearest], abs=1e-6)
        assert len(set(nearest)) > 8  # another shift at nearly every step


def test_the_default_recipe_moves_the_view_by_a_sixteenth_and_a_twentieth_and_turns_it_by_five_degrees():
    """96 x 64: a margin of 4 each; padded by it, cut by it, scaled, turned, cut by it again."""
    made, wanted = default_recipe().transforms(96, 64), (
        pad(4), jitter(4), scale([0.95, 0.975, 1.0, 1.025, 1.05]), rotate([-5, -2.5, 0, 0, 2.5, 5]), jitter(4),
    )  # fmt: skip
    batch = torch.rand(1, 3, 96, 64, generator=generator(0))
    for seed in range(40):
        ours, theirs, (one, other) = batch, batch, (generator(seed), generator(seed))
        for step, expected in zip(made, wanted, strict=True):
            ours, theirs = step(ours, one), expected(theirs, other)
        assert torch.equal(ours, theirs)
    assert default_recipe().transforms(15, 96) == ()  # a move by less than a pixel is none


def test_a_default_maximization_can_be_replayed_from_the_seeds_of_its_generators():
    """At a rate of 0 the image stays the start, so that each step's value is that of the start as the view shows it."""
    model, batch = trained_looking(Plain()).eval(), torch.rand(2, 3, 32, 32, generator=generator(1))
    still, seeds = replace(default_recipe(), update=adam(0.0)), []

    def noted(view, drawing):
        seeds.append(drawing.initial_seed())
        return view

    arguments = {"preset": still, "parameterization": fourier(sd=1.0), "steps": 6, "seed": 2}  # a start with contrasts
    found = maximize(model, "4", [2], batch, **arguments)
    fixed = maximize(model, "4", [2], batch, **arguments, transforms=[])
    maximize(model, "4", [2], batch, **arguments, transforms=[noted])
    maximize(model, "4", [2], batch, **{**arguments, "seed": 3}, transforms=[noted])
    assert torch.equal(found.images, fixed.images)
    assert len(set(seeds)) == 12  # another view at every step, and others for another seed
    replayed = []
    for seed in seeds[:6]:
        view, drawing = fixed.images, generator(seed)
        for transform in default_recipe().transforms(32, 32):
            view = transform(view, drawing)
        with torch.no_grad():
            replayed.append(nn.Sequential(*list(model)[:5])(resized_views(view, 32, 32))[0, 2].mean().item())
    assert found.history[:, 0].tolist() == pytest.approx(replayed, rel=1e-4)
    assert all(abs(value / fixed.activation.item() - 1) > 1e-3 for value in replayed)
