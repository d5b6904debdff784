"""One synthetic video: pictures and everything that is known about them."""

import zlib
from dataclasses import dataclass, field

import cv2
import numpy as np

from .backdrop import paint_backdrop
from .camera import CameraPath
from .difficulty import Difficulty, get_difficulty
from .labels import BYSTANDER, FIRST_PERSON, MOST_PEOPLE
from .rendering import RenderedFrame, SceneRenderer
from .scene import Scene, plan_scene
from .visibility import annotated_keypoints, keypoint_occlusion, visible_regions

FRAMES_PER_SECOND = 25


@dataclass
class SyntheticPerson:
    """What is known of one person in F frames; keypoints in PoseTrack18 order, pixels and metres."""

    track_id: int
    action: str
    keypoints: np.ndarray  # [F, 17, 2] exact, also where hidden or outside the picture
    occlusion: np.ndarray  # [F, 17] uint8: see Occlusion in visibility.py
    keypoints_3d: np.ndarray  # [F, 17, 3] world
    boxes: np.ndarray  # [F, 4] x1 y1 x2 y2 of the drawn person inside the picture, hidden parts included
    head_boxes: np.ndarray  # [F, 4] of the skull without hair, cap, ears and nose, not cut at the border
    motion: np.ndarray  # [F, 17] pixels the keypoint moves while the shutter is open (per frame without blur)

    @property
    def annotated(self) -> np.ndarray:
        """Which keypoints are annotated, bool [F, 17]; none in frames in which the person is hardly seen."""
        return annotated_keypoints(self.occlusion)


@dataclass
class SyntheticVideo:
    """Frames with their truth."""

    frames: list[np.ndarray]  # F times uint8 [H, W, 3] BGR
    people: list[SyntheticPerson]
    camera: CameraPath  # at the F frames
    ignore_regions: list[list[np.ndarray]]  # for each frame polygons [P, 2] around people that are not annotated
    difficulty: Difficulty
    fps: float = FRAMES_PER_SECOND
    labels: list[np.ndarray] = field(default_factory=list)  # F times uint8 [2H, 2W], when asked for


def video_generator(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one video: they depend on nothing else than seed, split and number of the video."""
    return np.random.default_rng([seed, zlib.crc32(split.encode()), index])


def generate_video(
    seed: int | np.random.Generator,
    difficulty: str = 'medium',
    frames: int = 30,
    people: int = 3,
    size: tuple[int, int] = (480, 270),
    actions: tuple[str, ...] | None = None,
    keep_labels: bool = False,
) -> SyntheticVideo:
    """Make up a scene and film it.

    Args:
        seed: a number, or a generator to draw from.
        difficulty: 'easy', 'medium' or 'hard'.
        frames: number of frames, 25 a second.
        people: number of annotated people.
        size: width and height in pixels.
        actions: what the people do, in turn; see ``ACTIONS``. Chosen by chance if None.
        keep_labels: also return who was drawn at each pixel.
    """
    check_request(frames, people, size)
    settings = get_difficulty(difficulty)
    generator = seed if isinstance(seed, np.random.Generator) else video_generator(seed, 'train', 0)
    times = _exposure_times(frames, settings)  # [F, S]
    scene = plan_scene(times.ravel(), people, size, settings, generator, actions)
    performers = scene.people + scene.bystanders
    furthest = max(person.pose.origins[..., 1].max() for person in performers)
    nearest = float(scene.camera.positions[:, 1].min())
    renderer = SceneRenderer(scene, paint_backdrop(settings, furthest, nearest, generator))
    camera_artefacts = SensorEffects(settings, size, times[:, 0], generator)
    subframes, middle = times.shape[1], times.shape[1] // 2
    pictures, moments = [], []
    for frame in range(frames):
        drawn = [renderer.draw(frame * subframes + sub) for sub in range(subframes)]
        picture = drawn[0].picture
        if subframes > 1:
            picture = np.round(np.mean([moment.picture for moment in drawn], axis=0)).astype(np.uint8)
        pictures.append(camera_artefacts(picture, frame))
        moments.append(drawn[middle])
    exact = np.arange(frames) * subframes + middle
    described = _describe_people(scene, moments, exact, settings)
    return SyntheticVideo(
        frames=pictures,
        people=described,
        camera=scene.camera.at(exact),
        ignore_regions=[_ignored(described, frame, moment.labels) for frame, moment in enumerate(moments)],
        difficulty=settings,
        labels=[moment.labels for moment in moments] if keep_labels else [],
    )


class SensorEffects:
    """Defocus and noise of the filming camera."""

    def __init__(
        self, settings: Difficulty, size: tuple[int, int], times: np.ndarray, generator: np.random.Generator
    ) -> None:
        width, height = size
        wander = np.sin(2 * np.pi * (generator.uniform(0.2, 0.5) * times + generator.uniform()))
        self.blur = settings.defocus * np.maximum(wander, 0.0) * width / 480
        self.bank = None
        if settings.noise > 0:
            bank = generator.standard_normal((height + 64, width + 64, 3), dtype=np.float32)
            self.bank = np.round(settings.noise * bank).astype(np.int16)
            self.offsets = generator.integers(0, 65, (len(times), 2))

    def __call__(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """Blurred and noisy copy of frame number `frame`, uint8 [H, W, 3]."""
        if self.blur[frame] > 0.3:
            picture = cv2.GaussianBlur(picture, (0, 0), float(self.blur[frame]))
        if self.bank is not None:
            top, left = self.offsets[frame]
            height, width = picture.shape[:2]
            noise = self.bank[top : top + height, left : left + width]
            picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
        return picture


def check_request(frames: int, people: int, size: tuple[int, int]) -> None:
    """Refuse a video that cannot be made."""
    if frames < 1:
        raise ValueError(f'frames must be at least 1, got {frames}')
    if not 1 <= people <= MOST_PEOPLE:
        raise ValueError(f'people must be between 1 and {MOST_PEOPLE}, got {people}')
    if len(size) != 2 or min(size) < 32:
        raise ValueError(f'size must be (width, height) of at least 32 pixels each, got {size}')


def _exposure_times(frames: int, settings: Difficulty) -> np.ndarray:
    """Times [F, S] in seconds at which a frame is exposed; time 0 is the middle of the video."""
    middle = (np.arange(frames) - (frames - 1) / 2) / FRAMES_PER_SECOND
    share = np.linspace(-0.5, 0.5, settings.subframes) if settings.subframes > 1 else np.zeros(1)
    return middle[:, None] + share * settings.shutter / FRAMES_PER_SECOND


def _describe_people(
    scene: Scene, moments: list[RenderedFrame], exact: np.ndarray, settings: Difficulty
) -> list[SyntheticPerson]:
    camera = scene.camera.at(exact)
    width, height = camera.size
    described = []
    for number, person in enumerate(scene.people):
        keypoints_3d = person.pose.keypoints[exact]
        keypoints, depth = camera.project(keypoints_3d)
        outlines = np.stack([moment.vertices[number] for moment in moments])  # [F, V, 2]
        low, high = outlines.min(axis=1), outlines.max(axis=1)
        border = np.array([width - 1, height - 1])
        head = outlines[:, person.mesh.skull]
        speed = np.linalg.norm(np.gradient(keypoints, axis=0), axis=-1) if len(exact) > 1 else np.zeros(depth.shape)
        occlusion = np.stack([
            keypoint_occlusion(number, keypoints[frame], depth[frame], moment.labels)
            for frame, moment in enumerate(moments)
        ])  # fmt: skip
        described.append(
            SyntheticPerson(
                track_id=number,
                action=person.action,
                keypoints=keypoints,
                occlusion=occlusion,
                keypoints_3d=keypoints_3d,
                motion=speed * (settings.shutter or 1.0),
                boxes=np.concatenate([np.clip(low, 0, border), np.clip(high, 0, border)], axis=1),
                head_boxes=np.concatenate([head.min(axis=1), head.max(axis=1)], axis=1),
            )  # fmt: skip
        )
    return described


def _ignored(people: list[SyntheticPerson], frame: int, labels: np.ndarray) -> list[np.ndarray]:
    """Outlines of what is seen of the people that are not annotated in a frame."""
    unannotated = [person.track_id for person in people if not person.annotated[frame].any()]
    chosen = (labels == BYSTANDER) | np.isin(labels // FIRST_PERSON, np.array(unannotated, int) + 1)
    return visible_regions(chosen, labels) if chosen.any() else []
