import pytest

from jsd.errors import InvalidInputError
from jsd.sizes import SizeLimits, sample_size

LIMITS = SizeLimits(factor=8, default=(512, 512))


@pytest.mark.parametrize(
    ("picture", "width", "height", "expected"),
    [
        (None, None, None, (512, 512)),
        (None, 640, None, (640, 512)),
        ((300, 200), 512, 256, (512, 256)),
        ((800, 600), None, None, (800, 600)),
        ((803, 607), None, None, (800, 600)),
        ((4000, 3000), None, None, (1176, 880)),
        ((3000, 4000), None, None, (880, 1176)),
        ((64, 96), None, None, (128, 192)),
        ((800, 600), 400, None, (400, 296)),
        ((600, 800), None, 400, (296, 400)),
    ],
)
def test_what_is_unset_follows_the_picture_or_the_model(
    picture: tuple[int, int] | None, width: int | None, height: int | None, expected: tuple[int, int]
) -> None:
    assert LIMITS.fit(picture, width, height) == expected


@pytest.mark.parametrize(
    ("width", "height", "field", "words"),
    [
        (513, 512, "width", "multiple of 8 px, got 513; try 512"),
        (512, 4, "height", "try 128"),
        (512, 120, "height", "128"),
        (2048, 1024, "width", "1048576"),
        (1024, 1032, "height", "512x512"),
    ],
)
def test_a_size_out_of_bounds_names_its_rule_and_a_remedy(width: int, height: int, field: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        LIMITS.check(width, height)
    assert caught.value.field == field
    assert words in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("width", "height"), [(9999, 512), (9999, 9999), (9999, 8192), (512, 9999), (513, 1), (1025, 1024), (1, 1)]
)
def test_following_the_suggestions_gives_a_size_that_is_allowed(width: int, height: int) -> None:
    size = {"width": width, "height": height}
    for _ in range(2):
        with pytest.raises(InvalidInputError) as caught:
            LIMITS.check(**size)
        size[caught.value.field] = caught.value.params.get("near", caught.value.params.get("low"))
        if all(side % 8 == 0 for side in size.values()):
            break
    LIMITS.check(**size)


@pytest.mark.parametrize(
    ("config", "sides"),
    [
        ({"sample_size": 64}, (64, 64)),
        ({"sample_size": 32, "_diffusers_version": "0.4.0"}, (64, 64)),
        ({"sample_size": 32, "_diffusers_version": "0.8.0.dev0"}, (64, 64)),
        ({"sample_size": 96, "_diffusers_version": "0.8.0"}, (96, 96)),
        ({"sample_size": 32, "_diffusers_version": "0.9.0"}, (32, 32)),
        ({"sample_size": 16, "_diffusers_version": "0.42.1"}, (16, 16)),
        ({"sample_size": [48, 80]}, (48, 80)),
        ({}, (64, 64)),
    ],
)
def test_configs_of_2022_say_half_of_what_the_unet_was_trained_on(
    config: dict[str, object], sides: tuple[int, int]
) -> None:
    assert sample_size(config) == sides


def test_the_largest_and_smallest_sizes_are_allowed() -> None:
    LIMITS.check(1024, 1024)
    LIMITS.check(128, 8192)


def test_bounds_are_those_of_the_model_not_of_stable_diffusion() -> None:
    limits = SizeLimits(factor=16, default=(128, 128))
    assert (limits.min_side, limits.max_area) == (32, 256 * 256)
    limits.check(144, 256)
    with pytest.raises(InvalidInputError, match="16"):
        limits.check(136, 128)


def test_a_picture_too_long_for_any_size_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        LIMITS.fit((100_000, 10), None, None)


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ((512, 768), (512, 768)),
        ((1024, 1024), (1024, 1024)),
        ((500, 700), (504, 704)),
        ((1024, 1536), (416, 624)),
        ((2048, 2048), (512, 512)),
        ((100, 100), (128, 128)),
        ((64, 256), (128, 512)),
        ((16383, 1), (8192, 128)),
    ],
)
def test_a_size_that_is_not_drawn_has_a_nearest_one_in_its_shape(
    asked: tuple[int, int], drawn: tuple[int, int]
) -> None:
    assert LIMITS.nearest(*asked) == drawn
    assert LIMITS.nearest(*reversed(asked)) == tuple(reversed(drawn))


@pytest.mark.parametrize(
    "limits", [LIMITS, SizeLimits(factor=4, default=(32, 32)), SizeLimits(factor=16, default=(128, 96))]
)
def test_every_nearest_size_is_allowed_and_an_allowed_one_stays(limits: SizeLimits) -> None:
    sides = [1, 5, 31, 33, 64, 100, 127, 250, 512, 777, 1025, 16383]
    for width in sides:
        for height in sides:
            near = limits.nearest(width, height)
            limits.check(*near)
            assert limits.nearest(*near) == near


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((128, 128), (128, 128)),  # no smaller than it was trained on
        ((256, 256), (128, 128)),
        ((512, 512), (128, 128)),  # drawn at a fourth, enlarged four times
        ((1024, 512), (256, 128)),
        ((4000, 4000), (256, 256)),
    ],
)
def test_a_picture_that_is_enlarged_afterwards_is_drawn_smaller(
    picture: tuple[int, int], size: tuple[int, int]
) -> None:
    assert SizeLimits(factor=8, default=(128, 128)).fit(picture, None, None, upscale=4) == size
