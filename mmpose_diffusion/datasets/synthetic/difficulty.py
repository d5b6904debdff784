"""What easy, medium and hard mean."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """Settings of a video; pixels refer to a picture 480 wide."""

    name: str
    textured: bool
    camera_moves: tuple[str, ...]
    crossing: bool  # people stand and walk in front of each other instead of side by side
    shake: float = 1.0  # tremor of the handheld camera
    occluders: tuple[int, int] = (0, 0)  # fewest and most things in front of the people
    bystanders: float = 0.0  # share of videos with distant people, which are not annotated but ignored
    subframes: int = 1  # pictures averaged to a frame: motion blur
    shutter: float = 0.0  # share of the frame time during which the shutter is open
    defocus: float = 0.0  # largest blur, pixels
    noise: float = 0.0  # standard deviation of the sensor noise, grey levels
    jpeg_quality: int = 92


DIFFICULTIES = {
    'easy': Difficulty('easy', textured=False, camera_moves=('static', 'pan'), crossing=False),
    'medium': Difficulty(
        'medium', textured=True, camera_moves=('pan', 'dolly', 'handheld'), crossing=True, bystanders=0.3, noise=3.0
    ),
    'hard': Difficulty(
        'hard', textured=True, camera_moves=('pan', 'dolly', 'handheld', 'handheld'), crossing=True, shake=1.8,
        occluders=(2, 4), bystanders=0.5, subframes=5, shutter=0.6, defocus=1.6, noise=7.0, jpeg_quality=82,
    ),
}  # fmt: skip


def get_difficulty(name: str) -> Difficulty:
    """The settings called `name`."""
    if name not in DIFFICULTIES:
        raise ValueError(f'Unknown difficulty {name!r}; choose one of: {", ".join(DIFFICULTIES)}')
    return DIFFICULTIES[name]
